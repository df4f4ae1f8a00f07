"""What can go wrong with a cluster, as one sentence for the operator."""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster did not do what was asked; the message is one sentence and names no secret."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status of the API server's answer, 0 where there was none."""


class ConflictError(ClusterError):
    """Somebody else has changed the object meanwhile."""
