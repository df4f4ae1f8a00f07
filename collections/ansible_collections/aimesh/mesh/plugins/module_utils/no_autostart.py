"""While packages are installed, none of their services starts: a temporary `/usr/sbin/policy-rc.d` says no.

An interrupted run leaves it in place; `restore_policy` at the start of the next run puts things right, and so does the
removal of the mesh.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import write_atomic

POLICY = "/usr/sbin/policy-rc.d"
MARK = "# aimesh: temporary, no service starts while packages are installed"
CONTENT = f"#!/bin/sh\n{MARK}\nexit 101\n"


def restore_policy(policy: str = POLICY) -> bool:
    """Take our policy away and put the saved one back; True when there was one of ours."""
    path, saved = Path(policy), Path(policy + ".aimesh-saved")
    ours = path.is_file() and MARK in path.read_text(encoding="utf-8", errors="replace")
    if saved.exists():
        saved.replace(path)
    elif ours:
        path.unlink()
    return ours


@contextlib.contextmanager
def no_autostart(policy: str = POLICY) -> Iterator[None]:
    """Services stay as they are inside; a policy of the operator is set aside and put back, on errors too."""
    restore_policy(policy)
    path = Path(policy)
    if path.exists():
        path.rename(policy + ".aimesh-saved")
    try:
        write_atomic(policy, CONTENT.encode(), mode=0o755)
        yield
    finally:
        restore_policy(policy)
