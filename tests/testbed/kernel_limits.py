"""Limits of this machine's kernel that keep a VM from booting without a word."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

INSTANCES = "fs.inotify.max_user_instances"
_SETTING = Path("/proc/sys") / INSTANCES.replace(".", "/")


def why_no_boot(first: int | None = None) -> str:
    """A sentence when no inotify instance is left, of which every systemd needs some; empty otherwise.

    `first` is the kernel's answer to a request for one, a descriptor or an errno below zero; it is asked by default.
    """
    answer = _ask() if first is None else first
    if answer != -errno.EMFILE:
        return ""
    return (
        f" This machine has no inotify instance left ({_SETTING.read_text().strip()} per user): run fewer VMs and "
        f"nodes at a time, or as root sysctl {INSTANCES}=512."
    )


def _ask() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.inotify_init1(os.O_CLOEXEC))
    if descriptor < 0:
        return -ctypes.get_errno()
    os.close(descriptor)
    return descriptor
