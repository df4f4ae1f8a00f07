"""Which endpoint a request is for: a fixed path by one look-up, the others in the order of the table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.routing import compile_path

from mesh.web.problem import ProblemError

if TYPE_CHECKING:
    from mesh.web.http import Endpoint


class Routes:
    """Paths are as Starlette writes them: `{name}` up to the next slash, `{name:path}` over slashes."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._fixed: dict[str, dict[str, Endpoint]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Endpoint]]] = {}
        for endpoint in endpoints:
            if "{" in endpoint.path:
                pattern, _format, _converters = compile_path(endpoint.path)
                methods = self._patterns.setdefault(endpoint.path, (pattern, {}))[1]
            else:
                methods = self._fixed.setdefault(endpoint.path, {})
            methods[endpoint.method] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
        """The endpoint and the path's parameters; raises ProblemError 404 and 405. HEAD is answered as GET."""
        methods, parameters = self._methods(path)
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is not None:
            return endpoint, parameters
        if not methods:
            raise ProblemError(404, "There is nothing at this path.")
        allowed = sorted({*methods, "HEAD"} if "GET" in methods else methods)
        raise ProblemError(405, f"{method} is not possible at this path.", headers={"Allow": ", ".join(allowed)})

    def _methods(self, path: str) -> tuple[dict[str, Endpoint], dict[str, str]]:
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed, {}
        for pattern, methods in self._patterns.values():
            found = pattern.match(path)
            if found is not None:
                return methods, found.groupdict()
        return {}, {}
