"""Check that no migration of the mesh app that was ever committed has changed since: databases out there carry it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "mesh_app/src/mesh/migrations"
MANIFEST = f"{FOLDER}/manifest.json"
SINCE = "754199c"
"""The commit with the first schema that was deployed; what came before it was a draft."""
RELEASED = "mesh_app/tests/releases/level-4.zip"
"""The code of that commit, for a clone without history."""


class HistoryError(Exception):
    """The repository cannot answer; the message is one sentence for the developer."""


def git(root: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    if done.returncode != 0:
        raise HistoryError(f"git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def first_commits(root: Path, since: str) -> dict[str, str]:
    """The path of every migration → the commit that brought it: `since`, or the one after it that added the file."""
    try:
        git(root, "cat-file", "-e", f"{since}^{{commit}}")
    except HistoryError:
        raise HistoryError(
            f"commit {since} is not in this clone, so its history says nothing; fetch it with git fetch --unshallow"
        ) from None
    names = git(root, "ls-tree", "--name-only", since, f"{FOLDER}/").decode().split()
    found = {name: since for name in names if name.endswith(".sql")}
    log = git(
        root, "log", "--reverse", "--no-renames", "--diff-filter=A", "--name-only", "--format=commit %H",
        f"{since}..HEAD", "--", f"{FOLDER}/*.sql",
    )  # fmt: skip
    commit = ""
    for line in log.decode().splitlines():
        if line.startswith("commit "):
            commit = line.split()[1]
        elif line:
            found.setdefault(line, commit)
    return found


def entry(manifest: bytes, path: str) -> object:
    """What a manifest says about a migration, None when it does not list it."""
    return next((one for one in json.loads(manifest) if f"{FOLDER}/{one['file']}" == path), None)


def complaints(root: Path, since: str = SINCE) -> list[str]:
    """One sentence for each migration that is not what it was."""
    manifest, found = (root / MANIFEST).read_bytes(), []
    for path, commit in sorted(first_commits(root, since).items()):
        where = f"{path}, committed with {commit[:10]},"
        if not (root / path).is_file():
            found.append(f"{where} is gone or renamed; bring it back, and undo what it does in a new migration.")
        elif (root / path).read_bytes() != git(root, "show", f"{commit}:{path}"):
            found.append(f"{where} has another content now; restore it and write a new migration.")
        elif entry(manifest, path) != entry(git(root, "show", f"{commit}:{MANIFEST}"), path):
            found.append(f"{where} has another line in manifest.json now; restore that line.")
    return found


def complaints_without_history(root: Path) -> list[str]:
    """The same, as far as the first deployed release can tell."""
    manifest, found = (root / MANIFEST).read_bytes(), []
    with zipfile.ZipFile(root / RELEASED) as released:
        before = released.read(MANIFEST)
        for path in sorted(name for name in released.namelist() if name.endswith(".sql")):
            same = (root / path).is_file() and (root / path).read_bytes() == released.read(path)
            if not same or entry(manifest, path) != entry(before, path):
                found.append(f"{path} differs from what the first release deployed; restore it.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["check"])
    parser.parse_args()
    try:
        found = complaints(ROOT)
    except HistoryError as error:
        print(f"{error}; compared with {RELEASED} only")
        found = complaints_without_history(ROOT)
    for sentence in found:
        print(sentence)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
