"""The service telemetry."""
