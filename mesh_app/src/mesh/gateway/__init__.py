"""The service gateway."""
