"""The bundled AI-agent mesh: six services from one package."""

from __future__ import annotations

__version__ = "1.1.0"
