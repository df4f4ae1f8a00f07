"""What the hosts of a mesh are, against what the plan needs: a pure judgement for all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

TOLERANCE = 0.93
"""A machine of 16 GB shows less than 16384 MiB, a disk of 100 GB less: firmware and file system take some."""
ANY_SYSTEM = "any"
WAY_ON = {
    "strict": "mesh_preflight: warn would go on all the same",
    "warn": "mesh_preflight: warn goes on all the same",
}


@dataclass(frozen=True)
class Shortfall:
    """One thing that the mesh as a whole has too little of; `hosts` says how much each host adds."""

    what: str
    found: str
    minimum: str
    hosts: str


@dataclass(frozen=True)
class Verdict:
    """`problems` stop every run; `shortfalls` stop a strict one."""

    problems: tuple[str, ...]
    shortfalls: tuple[Shortfall, ...]
    unseen: tuple[str, ...]
    """Hosts of the plan that were not asked (`--limit`): the minima of the whole mesh cannot be judged then."""


def judge(plan: Plan, answers: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """The verdict over what each host answered (`host` and `held_ports` of the module)."""
    problems: list[str] = []
    for name in plan["hosts"]:
        if name in answers:
            problems += host_problems(plan, name, answers[name])
    unseen = tuple(name for name in plan["hosts"] if name not in answers)
    hosts = {name: answers[name]["host"] for name in plan["hosts"] if name in answers}
    return Verdict(tuple(problems), () if unseen else tuple(shortfalls(plan, hosts)), unseen)


def host_problems(plan: Plan, name: str, answer: Mapping[str, Any]) -> list[str]:
    """Why this host cannot carry its part, each reason a sentence."""
    if "problems" in answer:
        # A cluster tells itself what is wrong with it, and its nodes are not for us to choose.
        return list(answer["problems"])
    wanted, host = plan["hosts"][name]["os"], answer["host"]
    found = []
    if wanted["id"] != ANY_SYSTEM:
        if host["os"] != wanted["id"]:
            found.append(
                f"{name} runs {host['os']}, the plan is for {wanted['id']}: set mesh_os: {host['os']} for it if that "
                "is what it should be, or reinstall it."
            )
        elif host["python"] != wanted["python"]:
            found.append(
                f"{name} answers with Python {host['python']}, the plan is for {wanted['python']}: leave "
                "ansible_python_interpreter at the system's own Python."
            )
    if host["arch"] != wanted["arch"]:
        found.append(f"{name} is {host['arch']}, the plan is for {wanted['arch']}: use a host of that architecture.")
    if plan["mesh"]["platform"] == "systemd" and not host["systemd"]:
        found.append(f"{name} does not run systemd, which the platform systemd needs: use a host that does.")
    return found + [port_problem(name, held) for held in answer["held_ports"]]


def port_problem(name: str, held: Mapping[str, Any]) -> str:
    """Who holds a planned port, and what to do."""
    if held["pid"]:
        unit = f", unit {held['unit']}" if held.get("unit") else ""
        holder = f"{held['program'] or 'a process'} (pid {held['pid']}{unit})"
    else:
        holder = "a process of another user (run as root to see which)"
    return (
        f"{name}: port {held['port']} is planned for {held['purpose']}, and {holder} listens on "
        f"{held['address']}:{held['port']}: stop it, or plan another port."
    )


def shortfalls(plan: Plan, hosts: Mapping[str, Mapping[str, Any]]) -> list[Shortfall]:
    """What all hosts together have too little of."""
    minima = plan["minima"]
    disk = {name: sum(part["size_gb"] for part in host["disks"]) for name, host in hosts.items() if "disks" in host}
    memory = {name: host["memory_mb"] / 1024 for name, host in hosts.items()}
    vcpus = {name: host["vcpus"] for name, host in hosts.items()}
    measured = (
        ("vCPUs", vcpus, minima["vcpus"], 1.0, ""),
        ("memory", memory, minima["memory_mb"] / 1024, TOLERANCE, " GB"),
        ("disk for data", disk, minima["disk_gb"], TOLERANCE, " GB"),
    )
    found = []
    for what, amounts, minimum, tolerance, unit in measured:
        if not amounts:
            # Volumes of a cluster are made when they are asked for.
            continue
        total = sum(amounts.values())
        if total < minimum * tolerance:
            each = ", ".join(f"{name}: {_number(amount)}{unit}" for name, amount in amounts.items())
            found.append(Shortfall(what, f"{_number(total)}{unit}", f"{_number(minimum)}{unit}", each))
    return found


def table(plan: Plan, found: tuple[Shortfall, ...]) -> str:
    """Every shortfall in one table, and what to do."""
    rows = [("what", "found", "minimum", "on"), *(tuple(asdict(shortfall).values()) for shortfall in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  " + "  ".join([*(row[column].ljust(widths[column]) for column in range(3)), row[3]]).rstrip() for row in rows
    ]
    return (
        f"The hosts of {plan['mesh']['name']} have less than size {plan['mesh']['size']} needs for the whole mesh:\n"
        + "\n".join(lines)
        + f"\nAdd to the hosts or choose a smaller mesh_size; {WAY_ON[plan['mesh']['preflight']]}."
    )


def _number(amount: float) -> str:
    return f"{amount:.1f}".removesuffix(".0")
