"""The rules of MESH_POLICY_FILE, taken up when the file changes."""

from __future__ import annotations

import time
from pathlib import Path

from mesh.core.log import log
from mesh.core.secrets import ConfigError
from mesh.policy.rules import RuleSet, load_rules


class RuleSource:
    """The current rules; the file is looked at once a second at most, and a bad one never replaces a good one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._looked_at = float("-inf")
        self._rules: RuleSet | None = None
        self.error: str | None = None

    def current(self) -> RuleSet | None:
        """Rules to decide by, or None while there never were valid ones."""
        now = time.monotonic()
        if now - self._looked_at >= 1.0:
            self._looked_at = now
            self._look()
        return self._rules

    def stale(self) -> bool:
        """Whether the decisions follow older rules, since the file as it is now was refused."""
        return self.current() is not None and self.error is not None

    def _look(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp and self.error is None:
                return
            self._rules = load_rules(self._path)
            self._stamp, self.error = stamp, None
        except OSError as error:
            self._refuse(f"the policy rules in {self._path} cannot be read ({error.strerror}); restore the file.")
        except ConfigError as error:
            self._refuse(str(error))

    def _refuse(self, reason: str) -> None:
        if reason != self.error:
            kept = self._rules.version if self._rules else None
            log.warning("policy rules refused", extra={"fields": {"error": reason, "still_deciding_by": kept}})
        self.error = reason
