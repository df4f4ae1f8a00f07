"""The registry: agents as rows."""
