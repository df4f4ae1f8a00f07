"""What the load generator is told: where the services are, how much, for how long, and in whose name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

REQUEST_TIMEOUT_S = 10.0
MOST_REQUESTS_PER_SECOND = 500


class TrafficError(Exception):
    """The load cannot be made or judged; the message is one sentence for the operator."""


@dataclass(frozen=True)
class Target:
    """Where one service answers: the endpoint as the generator's host sees it."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Target:
        """From `http://host:port`. Raises TrafficError."""
        parts = urlsplit(url)
        try:
            port = parts.port or 80
        except ValueError:
            port = 0
        if parts.scheme != "http" or not parts.hostname or not port:
            raise TrafficError(f"The endpoint {url!r} cannot be asked; give http://<host>:<port>.")
        return cls(parts.hostname, port)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Settings:
    """`endpoints` is {service: URL}; `run_id` marks every record; without `writes` only reading kinds are sent.

    The generator stops by itself after `lifetime_s` seconds without a word of its run.
    """

    run_id: str
    endpoints: Mapping[str, str]
    requests_per_second: float
    lifetime_s: float = 1800.0
    namespace: str = "aimesh-verify"
    writes: bool = True
    token: str = field(default="", repr=False)
    timeout_s: float = REQUEST_TIMEOUT_S

    def __post_init__(self) -> None:
        if not 0 < self.requests_per_second <= MOST_REQUESTS_PER_SECOND:
            raise TrafficError(
                f"requests_per_second is {self.requests_per_second:g}; give a number above 0 and at most "
                f"{MOST_REQUESTS_PER_SECOND} (variable mesh_update)."
            )
        if "api-gateway" not in self.endpoints:
            raise TrafficError(
                f"The load needs the endpoint of the api-gateway, and is given {', '.join(sorted(self.endpoints))}."
            )
        # A bad URL is told now, and not by a generator that is already on its own.
        _ = self.targets

    @property
    def targets(self) -> dict[str, Target]:
        return {service: Target.of(url) for service, url in self.endpoints.items()}

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries: the mark of the harness, and the token where there is one."""
        marks = {"X-Mesh-Verify": self.run_id, "User-Agent": "aimesh-traffic", "Accept": "*/*"}
        return marks | ({"Authorization": f"Bearer {self.token}"} if self.token else {})

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """From the options of the module. Raises TrafficError."""
        return cls(
            run_id=str(given["traffic_id"]),
            endpoints=dict(given["endpoints"] or {}),
            requests_per_second=float(given["requests_per_second"]),
            lifetime_s=float(given["lifetime_s"]),
            namespace=str(given["namespace"]),
            writes=bool(given["writes"]),
            token=str(given["token"] or ""),
        )
