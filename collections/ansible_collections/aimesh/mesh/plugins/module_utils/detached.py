"""A piece of work that goes on when the module call has ended, as a process that belongs to nobody."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import traceback
from collections.abc import Callable
from pathlib import Path


def detach(body: Callable[[], None], log: Path) -> None:
    """Runs `body` in a process whose parent is init; what ends it by an error is in `log`."""
    child = os.fork()
    if child == 0:
        _leave_parent(body, log)
    os.waitpid(child, 0)


def _leave_parent(body: Callable[[], None], log: Path) -> None:
    """In the child: a session of its own, no file of the parent's, one more fork so that init is the parent."""
    code = 1
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        # The parent's host lock is among them.
        os.closerange(3, 65536)
        os.chdir("/")
        # A core file would hold the secrets in memory.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        body()
        code = 0
    except BaseException:
        with contextlib.suppress(OSError), os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
            stream.write(traceback.format_exc())
    finally:
        # Exit handlers and buffers belong to the parent.
        os._exit(code)
