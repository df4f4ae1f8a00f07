"""Telemetry: metric samples as rows, durable before they are acknowledged."""
