"""What every probe shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Question = Mapping[str, Any]


class ProbeError(Exception):
    """The thing could not be observed; the message says why in one sentence and names no secret."""


class SecretMissingError(ProbeError):
    """The question could not even be asked, which says nothing about the thing itself."""


@dataclass(frozen=True)
class Environment:
    """Secrets by name, never part of an answer, and the seconds that one probe may take."""

    secrets: Mapping[str, str]
    timeout: float

    def limited(self, timeout: object) -> Environment:
        """The same with a question's own timeout, if it has one."""
        return replace(self, timeout=float(timeout)) if isinstance(timeout, (int, float)) else self

    def secret(self, name: str) -> str:
        """Raises ProbeError for a secret that the controller did not send."""
        try:
            return self.secrets[name]
        except KeyError:
            raise SecretMissingError(f"the secret {name} has no value in the site's secret store") from None
