"""Where the product's checkout or bundle lies, seen from a playbook."""

from __future__ import annotations

from pathlib import Path


def repository_root(playbook_dir: str | Path) -> Path:
    """The nearest folder at or above `playbook_dir` that holds `ansible.cfg`, else `playbook_dir`."""
    start = Path(playbook_dir).resolve()
    for folder in (start, *start.parents):
        if (folder / "ansible.cfg").is_file():
            return folder
    return start
