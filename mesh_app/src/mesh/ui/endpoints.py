from __future__ import annotations

from mesh.core.http import Endpoint
from mesh.core.runtime import Runtime


def endpoints(runtime: Runtime) -> list[Endpoint]:
    return []
