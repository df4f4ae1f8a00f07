"""JSON over HTTP, as Prometheus, Alertmanager and the alert receiver speak it."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 5.0
Query = Sequence[tuple[str, str]]


class ApiError(Exception):
    """A program does not answer as it should; the message is a clause for the operator, without a full stop."""


@dataclass(frozen=True)
class Api:
    """One program at `url`; `token` is its bearer token, if it wants one; `told` is what people call it."""

    url: str
    token: str = field(default="", repr=False)
    told: str = ""

    @property
    def name(self) -> str:
        return self.told or self.url

    def get(self, path: str, query: Query = ()) -> Any:
        return self._json(self.text(path, query))

    def lines(self, path: str, query: Query = ()) -> list[Any]:
        """One JSON document a line."""
        return [self._json(line) for line in self.text(path, query).splitlines() if line.strip()]

    def text(self, path: str, query: Query = ()) -> str:
        return self._call(f"{path}?{urllib.parse.urlencode(list(query))}" if query else path, None)

    def post(self, path: str, body: Any) -> None:
        self._call(path, json.dumps(body).encode())

    def ready(self) -> bool:
        """Whether Prometheus or Alertmanager has begun its work."""
        try:
            self.text("/-/ready")
        except ApiError:
            return False
        return True

    def _call(self, path: str, body: bytes | None) -> str:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url + path, data=body, headers=headers)  # noqa: S310  # our own http URL
        # A proxy of the host's environment knows nothing of its loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                return str(answer.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(200).decode("utf-8", "replace").strip()
            raise ApiError(f"{self.name} answers {error.code} ({said or error.reason})") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise ApiError(f"{self.name} cannot be reached ({reason})") from None

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise ApiError(f"{self.name} answers with something that is not JSON") from None
