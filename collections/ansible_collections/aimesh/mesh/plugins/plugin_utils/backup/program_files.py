"""The backup program on its host: the collection's own library with what that imports, and a launcher."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import LIBRARY, PROGRAM
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File

PACKAGE = "ansible_collections.aimesh.mesh.plugins.module_utils"
ROOT = Path(__file__).resolve().parents[2] / "module_utils"
LAUNCHER = f"""\
#!/usr/bin/python3 -IB
import sys

sys.path.insert(0, "{LIBRARY}")

from {PACKAGE}.backup.cli import main

sys.exit(main())
"""


def program_files() -> tuple[File, ...]:
    return (
        File(PROGRAM, text=LAUNCHER, mode="0755"),
        *(File(_path(source), text=source.read_text(encoding="utf-8")) for source in sources()),
    )


def program_directories() -> tuple[Directory, ...]:
    """Folders from the library's root down, each before what lies in it."""
    found: dict[str, None] = {}
    for path in sorted(_path(source) for source in sources()):
        above = [parent for parent in Path(path).parents if parent.is_relative_to(LIBRARY)]
        found |= {str(parent): None for parent in reversed(above)}
    return (Directory(LIBRARY.rpartition("/")[0]), *(Directory(path) for path in found))


@cache
def sources(*packages: str, lazy: bool = True) -> tuple[Path, ...]:
    """The packages, `backup` without any, and every file of ours that they import, directly or not.

    Without `lazy` what a file imports only when it needs it does not count.
    """
    waiting = sorted(each for name in packages or ("backup",) for each in (ROOT / name).glob("*.py"))
    found = set[Path]()
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            waiting += _imports(source, lazy=lazy)
    return tuple(sorted(found))


def _imports(source: Path, *, lazy: bool) -> list[Path]:
    """Files of ours that a file imports; with `lazy`, what stands in a function counts, too."""
    names: list[str] = []
    document = ast.parse(source.read_text(encoding="utf-8"))
    for node in ast.walk(document) if lazy else document.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level and node.module.startswith(PACKAGE):
            names += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names if each.name.startswith(PACKAGE)]
    paths = [ROOT.joinpath(*name.removeprefix(PACKAGE).strip(".").split(".")) for name in names if name != PACKAGE]
    return [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]


def _path(source: Path) -> str:
    return f"{LIBRARY}/{PACKAGE.replace('.', '/')}/{source.relative_to(ROOT)}"
