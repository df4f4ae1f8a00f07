"""What is on a VM: its processes and their starts, and everything that a removal has to take away."""

from __future__ import annotations

from dataclasses import dataclass

from .vm import Vm

# What Debian itself keeps of a package that came and went, and what changes by itself.
NOT_OURS = (
    "/var/lib/apt", "/var/lib/dpkg", "/var/cache", "/var/log", "/var/tmp", "/var/lib/systemd", "/tmp", "/run", "/proc",
    "/sys", "/dev", "/root", "/home", "/etc/ld.so.cache", "/etc/machine-id", "/var/backups", "/etc/.pwd.lock",
    "/usr/lib/python3", "/usr/share/python3", "/usr/lib/python3.11", "/usr/lib/python3.13", "/var/lib/private",
    "/var/lib/ucf",
)  # fmt: skip


@dataclass(frozen=True)
class Footprint:
    """Lists of what is there, sorted. `paths` leaves out what NOT_OURS names."""

    paths: frozenset[str]
    packages: frozenset[str]
    users: frozenset[str]
    groups: frozenset[str]
    units: frozenset[str]

    def left_over(self, bare: Footprint) -> list[str]:
        """What this one has and the bare host did not."""
        return [
            f"{kind} {name}"
            for kind in ("paths", "packages", "users", "groups", "units")
            for name in sorted(getattr(self, kind) - getattr(bare, kind))
        ]

    def as_lists(self) -> dict[str, list[str]]:
        kinds = ("paths", "packages", "users", "groups", "units")
        return {kind: sorted(getattr(self, kind)) for kind in kinds}

    @classmethod
    def from_lists(cls, lists: dict[str, list[str]]) -> Footprint:
        return cls(**{kind: frozenset(names) for kind, names in lists.items()})


def footprint(vm: Vm) -> Footprint:
    prune = " -o ".join(f"-path {path}" for path in NOT_OURS)
    return Footprint(
        paths=_lines(vm, f"find / -xdev \\( {prune} \\) -prune -o ! -name __pycache__ ! -name '*.pyc' -print"),
        packages=_lines(vm, "dpkg-query -W -f '${Package} ${db:Status-Status}\\n'"),
        users=_lines(vm, "cut -d: -f1 /etc/passwd"),
        groups=_lines(vm, "cut -d: -f1 /etc/group"),
        units=_lines(vm, "systemctl list-unit-files --no-legend --plain | cut -d' ' -f1"),
    )


def starts(vm: Vm) -> dict[str, str]:
    """Unit → main process and the moment it started, for every unit that the mesh runs or uses."""
    names = _lines(vm, "systemctl list-units --plain --no-legend 'aimesh-*' 'postgresql@*' | cut -d' ' -f1")
    if not names:
        return {}
    properties = "-p MainPID -p ExecMainStartTimestampMonotonic -p NRestarts"
    return {name: vm.run(f"systemctl show {properties} '{name}'").strip().replace("\n", " ") for name in sorted(names)}


def restarts(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Units whose process is another one than before, units that came and units that went."""
    return [
        f"{name}: {before.get(name, 'not there')} → {after.get(name, 'not there')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _lines(vm: Vm, command: str) -> frozenset[str]:
    return frozenset(line for line in vm.run(command).splitlines() if line)
