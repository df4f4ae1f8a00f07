"""Groups and users of the mesh: made when missing, changed only when we made them."""

from __future__ import annotations

import grp
import pwd
import subprocess
from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError


@dataclass(frozen=True)
class GroupSpec:
    name: str
    system: bool


@dataclass(frozen=True)
class UserSpec:
    name: str
    group: str
    home: str
    shell: str
    system: bool
    groups: tuple[str, ...]


@dataclass(frozen=True)
class AccountStep:
    """One command that brings an account to its state; `creates` when the account did not exist."""

    name: str
    command: tuple[str, ...]
    creates: bool


def group_step(spec: GroupSpec) -> AccountStep | None:
    """What is to be done for a group, or None."""
    try:
        grp.getgrnam(spec.name)
    except KeyError:
        system = ("--system",) if spec.system else ()
        return AccountStep(spec.name, ("groupadd", *system, spec.name), creates=True)
    return None


def user_step(spec: UserSpec, *, ours: bool) -> AccountStep | None:
    """What is to be done for a user, or None.

    A user that we did not make keeps its home, shell and primary group; it only joins the groups it misses.
    """
    try:
        seen = pwd.getpwnam(spec.name)
    except KeyError:
        options = ["--gid", spec.group, "--home-dir", spec.home, "--shell", spec.shell, "--no-create-home"]
        if spec.system:
            options.append("--system")
        if spec.groups:
            options += ["--groups", ",".join(spec.groups)]
        return AccountStep(spec.name, ("useradd", *options, spec.name), creates=True)
    options = []
    if ours:
        if seen.pw_dir != spec.home:
            options += ["--home", spec.home]
        if seen.pw_shell != spec.shell:
            options += ["--shell", spec.shell]
        if _group_of(seen.pw_gid) != spec.group:
            options += ["--gid", spec.group]
    joined = [name for name in spec.groups if not _is_member(spec.name, seen.pw_gid, name)]
    if joined:
        options += ["--append", "--groups", ",".join(joined)]
    return AccountStep(spec.name, ("usermod", *options, spec.name), creates=False) if options else None


def _group_of(gid: int) -> str | None:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def _is_member(user: str, primary: int, group: str) -> bool:
    try:
        entry = grp.getgrnam(group)
    except KeyError:
        return False
    return user in entry.gr_mem or entry.gr_gid == primary


def run_step(step: AccountStep) -> None:
    """Run an account command. Raises HostChangeError with the last line it printed."""
    try:
        done = subprocess.run(step.command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        raise HostChangeError(
            f"The program {step.command[0]} is missing on this host, so {step.name} cannot be brought to its state; "
            "install the package passwd."
        ) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise HostChangeError(f"`{' '.join(step.command)}` failed with {done.returncode}: {said[-1]}")
