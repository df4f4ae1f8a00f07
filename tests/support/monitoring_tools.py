"""Prometheus' own programs, taken out of Debian's packages without installing them: a package would start its daemon.

    python tests/support/monitoring_tools.py        fetch what is missing

`tool("promtool")` is the path of a program; it fetches the package when nobody has yet. The packages lie unpacked in
`.cache/monitoring-tools/<suite>/<package>/`; several processes may ask at once. Only Alertmanager's templates need
root, once: its programs look for them at one path alone.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "monitoring-tools"
PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "alertmanager": "prometheus-alertmanager",
    "prometheus-blackbox-exporter": "prometheus-blackbox-exporter",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
    "prometheus-redis-exporter": "prometheus-redis-exporter",
}
"""Program → Debian package that ships it in /usr/bin."""
MOVED = {("trixie", "promtool"): "promtool"}
"""(suite, program) → package, where it is not the one of `PACKAGES`."""
PROGRAMS = {"alertmanager": "prometheus-alertmanager"}
"""File name in /usr/bin, where it is not the program's name."""
TEMPLATES = Path("/usr/share/prometheus/alertmanager")
"""Where Debian's alertmanager and amtool look for default.tmpl, whatever their configuration says."""
DEBIAN_SUITES = {"bookworm": "debian-12", "trixie": "debian-13"}


class MonitoringToolsError(Exception):
    """The programs cannot be had; the text is one sentence for the person who runs the tests."""


def tool(name: str, suite: str | None = None) -> Path:
    """Path of the program `name`, of this machine's Debian or of another `suite` (`bookworm`, `trixie`)."""
    suite = suite or machine_suite()
    package = MOVED.get((suite, name), PACKAGES[name])
    folder = CACHE / suite / package
    program = folder / "usr" / "bin" / PROGRAMS.get(name, name)
    if not program.exists():
        _fetch(package, suite, folder)
    if not program.exists():
        raise MonitoringToolsError(f"Debian's package {package} of {suite} has no {program.name} in /usr/bin.")
    if package == "prometheus-alertmanager":
        _place_templates(folder / TEMPLATES.relative_to("/"))
    return program


def ensure(names: Iterable[str] = PACKAGES) -> None:
    """Fetch every program of `names` that is not there, of both suites: tests ask for either."""
    for suite in DEBIAN_SUITES:
        for name in names:
            tool(name, suite)


def machine_suite() -> str:
    """Debian's code name of this machine."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if codename not in DEBIAN_SUITES:
        known = " or ".join(DEBIAN_SUITES)
        raise MonitoringToolsError(f"This machine is not Debian {known}, so apt has no package with promtool for it.")
    return codename


def _fetch(package: str, suite: str, folder: Path) -> None:
    with _locked():
        if folder.exists():
            return
        work = CACHE / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        archive = _download(package, suite, work)
        _run(["dpkg-deb", "-x", str(archive), str(work / "unpacked")], work, package)
        folder.parent.mkdir(exist_ok=True)
        # The folder appears whole or not at all, so its presence means that it is complete.
        (work / "unpacked").rename(folder)
        shutil.rmtree(work)


def _place_templates(source: Path) -> None:
    """Put default.tmpl and email.tmpl where the programs look; the installed package would bring the same files."""
    if (TEMPLATES / "default.tmpl").exists():
        return
    if os.geteuid() != 0:
        raise MonitoringToolsError(
            f"Alertmanager needs its templates in {TEMPLATES}; as root: mkdir -p {TEMPLATES} && "
            f"cp {source}/*.tmpl {TEMPLATES}"
        )
    with _locked():
        TEMPLATES.mkdir(parents=True, exist_ok=True)
        for template in sorted(source.glob("*.tmpl"), reverse=True):
            shutil.copy(template, TEMPLATES)


@contextmanager
def _locked() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(package: str, suite: str, work: Path) -> Path:
    options = _apt_options(suite)
    download = ["apt-get", *options, "-qq", "download", package]
    try:
        _run(download, work, package)
    except MonitoringToolsError:
        # The lists were never read, or name a version that the archive no longer has.
        _run(["apt-get", *options, "-qq", "update"], work, package)
        _run(download, work, package)
    return next(work.glob("*.deb"))


def _apt_options(suite: str) -> list[str]:
    """Own lists and cache for apt, so that neither root nor a change of the machine's own is needed."""
    state = CACHE / f"apt-{suite}"
    for folder in (state / "lists" / "partial", state / "cache" / "archives" / "partial", state / "sources"):
        folder.mkdir(parents=True, exist_ok=True)
    for source in _machine_sources():
        (state / "sources" / source.name).write_text(source.read_text().replace(machine_suite(), suite))
    values = {
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": state / "sources",
        # Packages are unpacked here, never installed, so nothing is lost when the sandbox user cannot write here.
        "APT::Sandbox::User": "root",
    }
    return [part for name, value in values.items() for part in ("-o", f"{name}={value}")]


def _machine_sources() -> list[Path]:
    """Files in which apt has this machine's Debian archive (other vendors' lists are of no use here)."""
    folder = Path("/etc/apt")
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    return [
        file
        for file in files
        if file.suffix in (".list", ".sources") and file.is_file() and machine_suite() in file.read_text().split()
    ]


def _run(command: list[str], work: Path, package: str) -> None:
    done = subprocess.run(command, cwd=work, text=True, capture_output=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise MonitoringToolsError(
            f"The tests of the monitoring need Debian's package {package}, which `{command[0]} {command[-1]}` "
            f"could not bring: {said[-1]}"
        )


if __name__ == "__main__":
    try:
        ensure()
    except MonitoringToolsError as error:
        sys.exit(str(error))
