"""Directories that a container's systemd, engine or kubelet leaves behind in the machine's tree of control groups."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def of_container(container: str, root: Path = ROOT) -> list[Path]:
    """Directories of a Docker container, one for each hierarchy."""
    return sorted(root.glob(f"*/docker/{container}"))


def of_kubelet(name: str, root: Path = ROOT) -> list[Path]:
    """Directories that a kubelet was given under `name`: in each hierarchy, or in the only one of version 2."""
    return sorted(folder for pattern in (name, f"*/{name}") for folder in root.glob(pattern) if not folder.is_symlink())


def remove(tops: list[Path]) -> list[Path]:
    """Take the directories away with all that is below. Returns those that the kernel keeps: they are in use."""
    for top in tops:
        for folder in sorted(top.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
            _rmdir(folder)
        _rmdir(top)
    return [top for top in tops if top.exists()]


def _rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # Still in use or not empty: the kernel keeps it, and so do we.
        return
