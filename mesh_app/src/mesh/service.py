"""Which module builds which service; imported one at a time, so that a process carries only what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from starlette.types import ASGIApp

from mesh.core.runtime import Runtime
from mesh.web.http import Endpoint, build_app

MODULES = {
    "api-gateway": "mesh.gateway.endpoints",
    "registry": "mesh.registry.endpoints",
    "telemetry": "mesh.telemetry.endpoints",
    "policy": "mesh.policy.endpoints",
    "federation": "mesh.federation.endpoints",
    "ui": "mesh.ui.endpoints",
}


def service_app(runtime: Runtime) -> ASGIApp:
    """The ASGI application of the runtime's service; its module offers `endpoints(runtime)`."""
    module = import_module(MODULES[runtime.settings.service])
    endpoints: Sequence[Endpoint] = module.endpoints(runtime)
    return build_app(runtime, endpoints)
