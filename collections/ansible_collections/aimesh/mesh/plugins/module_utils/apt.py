"""Debian's package tools, called so that they never ask, never start a service and never fail with a page of text."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
import time
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

LOCK_TIMEOUT_S = 120.0
RUN_TIMEOUT_S = 1800.0
DPKG_LOCK = "/var/lib/dpkg/lock-frontend"
LISTS_LOCK = "/var/lib/apt/lists/lock"
LISTS = "/var/lib/apt/lists"

ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "LC_ALL": "C.UTF-8",
}
OPTIONS = (
    "--yes",
    "--quiet",
    "-o",
    f"DPkg::Lock::Timeout={LOCK_TIMEOUT_S:g}",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
)
_NOISE = (
    "E: Sub-process /usr/bin/dpkg returned an error code",
    "E: Failed to fetch some archives",
    "E: Unable to fetch",
    "E: Some index files failed to download",
)
_RELEVANT = re.compile(r"^(E: |dpkg: error|Err:)")


class AptError(HostChangeError):
    """A package tool failed; the message ends with the line that says why."""


def installed_packages() -> dict[str, str]:
    """Name → dpkg status (`installed`, `half-configured`, …) of every package that dpkg knows. One call."""
    try:
        done = subprocess.run(
            ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except FileNotFoundError:
        raise HostChangeError("This host has no dpkg, and only Debian hosts can be deployed to.") from None
    if done.returncode not in (0, 1):
        raise AptError(f"dpkg-query failed with {done.returncode}: {relevant_line(done.stderr)}")
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def relevant_line(output: str) -> str:
    """The last line of a tool's output that says why it failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reasons = [line for line in lines if _RELEVANT.match(line) and not line.startswith(_NOISE)]
    return (reasons or lines or ["it printed nothing"])[-1]


def wait_for_lock(path: str, timeout_s: float = LOCK_TIMEOUT_S) -> None:
    """Wait until nobody holds a lock of dpkg or apt. Raises AptError with the lock's path after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with Path(path).open("rb+") as stream:
                fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise AptError(
                    f"Another package tool has held {path} for more than {timeout_s:g} s; "
                    "wait until it ends (often unattended-upgrades), then run again."
                ) from None
            time.sleep(0.5)


def _run(command: list[str], doing: str) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise HostChangeError(
            f"This host has no {command[0]}, so it is no Debian; set mesh_os to what it is."
        ) from None
    except subprocess.TimeoutExpired:
        raise AptError(f"{doing} did not end within {RUN_TIMEOUT_S:g} s.") from None
    if done.returncode != 0:
        raise AptError(f"{doing} failed: {relevant_line(done.stdout + done.stderr)}")
    return done.stdout


def configure_pending() -> None:
    """Let dpkg finish what an interrupted installation left."""
    wait_for_lock(DPKG_LOCK)
    _run(
        ["dpkg", "--force-confdef", "--force-confold", "--configure", "--pending"],
        "Finishing an interrupted installation",
    )


def lists_present() -> bool:
    with contextlib.suppress(OSError):
        return any("_Packages" in entry.name for entry in Path(LISTS).iterdir())
    return False


def update_lists() -> None:
    """`apt-get update`; raises AptError when any source fails."""
    wait_for_lock(LISTS_LOCK)
    _run(["apt-get", *OPTIONS, "-o", "APT::Update::Error-Mode=any", "update"], "Updating the package lists")


def planned_installation(names: list[str]) -> list[str]:
    """Every package that installing `names` adds, dependencies included. Raises AptError when that is impossible."""
    output = _run(["apt-get", *OPTIONS, "--simulate", "--no-install-recommends", "install", *names], _installing(names))
    return sorted(line.split()[1].split(":")[0] for line in output.splitlines() if line.startswith("Inst "))


def install(names: list[str]) -> None:
    _run(["apt-get", *OPTIONS, "--no-install-recommends", "install", *names], _installing(names))


def remove(names: list[str], *, purge: bool) -> None:
    """Remove packages, with `purge` their configuration too. Raises AptError."""
    _run(["apt-get", *OPTIONS, "purge" if purge else "remove", *names], _removing(names))


def removable(names: list[str]) -> list[str]:
    """Those of `names` whose removal takes nothing else away: what a package of others depends on stays."""
    going = list(names)
    while going:
        extra = sorted(set(_planned_removal(going)) - set(names))
        if not extra:
            return going
        needed = _dependencies(extra)
        left = [name for name in going if name not in needed]
        if left == going:
            return []
        going = left
    return going


def _planned_removal(names: list[str]) -> list[str]:
    output = _run(["apt-get", *OPTIONS, "--simulate", "remove", *names], _removing(names))
    lines = (line.split() for line in output.splitlines() if line.startswith(("Purg ", "Remv ")))
    return sorted({words[1].split(":")[0] for words in lines})


def _dependencies(names: list[str]) -> set[str]:
    """Installed packages that `names` depend on, directly or not."""
    options = ["--recurse", "--installed", "--no-recommends", "--no-suggests", "--no-enhances", "--no-conflicts"]
    output = _run(["apt-cache", "depends", *options, *names], f"Reading what {', '.join(names)} depends on")
    return {line.strip().split(":")[0] for line in output.splitlines() if line and not line.startswith(" ")}


def folders_of(names: list[str]) -> list[str]:
    """Directories that these packages brought and no other package has."""
    output = _run(["dpkg-query", "--listfiles", *names], "Listing the files of packages")
    folders = sorted({line for line in output.splitlines() if line.startswith("/") and Path(line).is_dir()})
    others: set[str] = set()
    for path in Path("/var/lib/dpkg/info").glob("*.list"):
        if path.name.removesuffix(".list").split(":")[0] not in names:
            others.update(path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [folder for folder in folders if folder not in others]


def _removing(names: list[str]) -> str:
    return f"Removing the packages {', '.join(names)}"


def _installing(names: list[str]) -> str:
    return f"Installing the packages {', '.join(names)}"
