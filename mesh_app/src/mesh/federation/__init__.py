"""The service federation."""
