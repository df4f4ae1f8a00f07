"""The backup program of a pod: one file that the pod's own Python runs, made of the collection's library."""

from __future__ import annotations

import io
import zipfile
from functools import cache

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.program_files import PACKAGE, ROOT, sources

SHEBANG = b"#!/usr/bin/python3 -IB\n"
PACKAGES = ("backup", "backup_pod", "restore_drill")
MAIN = f"""\
import sys

from {PACKAGE}.backup_pod.main import main

sys.exit(main())
"""
LONG_AGO = (1980, 1, 1, 0, 0, 0)


@cache
def pod_program() -> bytes:
    """An executable zip archive; the same sources give the same bytes."""
    packed = io.BytesIO()
    files = {
        f"{PACKAGE.replace('.', '/')}/{each.relative_to(ROOT)}": each.read_bytes()
        for each in sources(*PACKAGES, lazy=False)
    }
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in sorted({f"{parent}/" for path in files for parent in _parents(path)}):
            # Without an entry of its own a folder is no package for Python.
            archive.writestr(zipfile.ZipInfo(folder, LONG_AGO), b"")
        for path, content in {"__main__.py": MAIN.encode(), **files}.items():
            entry = zipfile.ZipInfo(path, LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return SHEBANG + packed.getvalue()


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]
