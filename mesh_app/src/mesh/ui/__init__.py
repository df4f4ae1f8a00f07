"""The service ui."""
