"""Files belong to whom they should, and no secret lies open."""

from __future__ import annotations

from typing import Any

from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, NotApplicableError, require_none
from vocabulary.targets import each_host

PRIVATE = 0o077
OTHERS = 0o007


@check(
    "files.modes.planned",
    "Files and directories have the planned owners and modes",
    targets=each_host,
    capability="files",
    hint="files",
)
def test_owners_and_modes_are_the_planned_ones(mesh: Mesh, target: Target) -> None:
    host, state = mesh.host(target.host), mesh.state_of(target.host)
    if not state.files:
        raise NotApplicableError("the plan puts no files on this host")
    wrong = []
    for kind, wanted in [("directory", each) for each in state.directories] + [("file", each) for each in state.files]:
        seen = host.file(wanted.path)
        if not seen.exists:
            wrong.append(f"{wanted.path} is missing")
        elif not (seen.is_directory if kind == "directory" else seen.is_file):
            wrong.append(f"{wanted.path} is no {kind}")
        else:
            wrong += differing(wanted, seen)
    require_none(wrong, f"{len(state.files)} files and {len(state.directories)} directories as planned")


@check(
    "files.secrets.private",
    "Only their owner can read the files that hold secrets",
    targets=each_host,
    capability="files",
    hint="secrets",
)
def test_secret_files_are_private(mesh: Mesh, target: Target) -> None:
    host, state = mesh.host(target.host), mesh.state_of(target.host)
    open_files = [
        f"{file.path} has mode {seen.mode:04o}"
        for file, seen in [(file, host.file(file.path)) for file in state.files if file.secrets]
        if seen.exists and seen.mode & OTHERS
    ]
    tree = host.tree(mesh.state_dir)
    # What a server keeps has the modes that it likes, behind a folder that others cannot enter.
    behind = tuple(
        f"{each.path}/"
        for each in state.directories
        if each.keep and each.path in tree and not tree[each.path].mode & OTHERS
    )
    open_files += [
        f"{path} has mode {seen.mode:04o}"
        for path, seen in sorted(tree.items())
        if seen.is_file and seen.mode & PRIVATE and not path.startswith(behind)
    ]
    require_none(open_files, "no file with secrets or state that others may read")


@check(
    "files.secrets.absent",
    "No secret can be read where it does not belong",
    targets=each_host,
    capability="files",
    hint="secrets",
)
def test_no_secret_lies_open(mesh: Mesh, target: Target) -> None:
    seen = exposure(mesh, target)
    require_none(
        [f"{each['secret']} can be read by everybody in {each['path']}" for each in seen["files"]],
        "no secret in a file that others may read",
    )


@check(
    "secrets.processes.hidden",
    "No secret is in an environment or on a command line",
    targets=each_host,
    capability="files",
    hint="secrets",
)
def test_no_process_shows_a_secret(mesh: Mesh, target: Target) -> None:
    seen = exposure(mesh, target)
    require_none(
        [
            f"{each['secret']} is in the {each['where']} of {each['comm']} (process {each['pid']})"
            for each in seen["processes"]
        ],
        "no secret in any process listing",
    )


def exposure(mesh: Mesh, target: Target) -> dict[str, Any]:
    """The search for every secret of the mesh. Raises MismatchError when it looked for fewer, or at nothing."""
    paths = mesh.plan["mesh"]["paths"]
    seen = mesh.host(target.host).exposure(sorted(mesh.plan["secrets"]), [paths["config"], paths["logs"], paths["run"]])
    missed = sorted(set(mesh.plan["secrets"]) - set(seen["searched"]))
    require_none(
        [f"{name} was not searched for: it has no value, or a short one" for name in missed],
        "a search for every secret",
    )
    if not seen["read"]:
        raise MismatchError(expected="process listings to search", actual="none could be read")
    return seen


def differing(wanted: Any, seen: Any) -> list[str]:
    """An empty owner or group in the plan means: whoever runs the mesh."""
    words = []
    if wanted.owner and seen.user != wanted.owner:
        words.append(f"owner {seen.user} instead of {wanted.owner}")
    if wanted.group and seen.group != wanted.group:
        words.append(f"group {seen.group} instead of {wanted.group}")
    if seen.mode != int(wanted.mode, 8):
        words.append(f"mode {seen.mode:04o} instead of {wanted.mode}")
    return [f"{wanted.path} has {', '.join(words)}"] if words else []
