"""Run every linter over the repository, print one line each, and fail when one of them does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = "collections/ansible_collections/aimesh/mesh/plugins"
# mypy sees a collection as the package that Ansible imports it as.
MYPY_PATH = f"{ROOT / 'collections'}:{ROOT / 'mesh_app' / 'src'}"

LINTERS: dict[str, list[str]] = {
    "ruff check": ["ruff", "check", "--no-cache", "--quiet", "."],
    "ruff format": ["ruff", "format", "--no-cache", "--check", "--quiet", "."],
    "mypy module_utils": ["mypy", "--cache-dir=.cache/mypy", f"{COLLECTION}/module_utils"],
    "mypy plugin_utils": ["mypy", "--cache-dir=.cache/mypy", f"{COLLECTION}/plugin_utils"],
    "mypy mesh_app": [
        "mypy",
        "--cache-dir=.cache/mypy",
        "--python-executable",
        ".cache/app-venv/bin/python",
        "mesh_app/src/mesh",
    ],
    "migrations": ["python", "tools/migrations.py", "check"],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["ansible-lint", "--offline", "-q", "--profile", "production"],
}


def main() -> None:
    wanted = sys.argv[1:] or list(LINTERS)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"MYPYPATH": MYPY_PATH, "NO_COLOR": "1", "PATH": programs}
    # Found through this process's own search path, which subprocess uses.
    os.environ["PATH"] = programs
    failed = []
    for name in wanted:
        started = time.monotonic()
        done = subprocess.run(LINTERS[name], cwd=ROOT, env=environment, text=True, capture_output=True, check=False)
        verdict = "failed" if done.returncode else "ok"
        print(f"{name:<20} {verdict:<7} {time.monotonic() - started:5.1f} s", flush=True)
        if done.returncode:
            failed.append(name)
            print((done.stdout + done.stderr).strip())
    if failed:
        sys.exit(f"lint: {', '.join(failed)} failed")


if __name__ == "__main__":
    main()
