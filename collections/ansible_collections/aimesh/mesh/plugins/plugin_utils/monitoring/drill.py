"""The plan → the alert drill: where it is held, its fault, the alert that must come of it, how long that may take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import reachable
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.alertmanager import alertmanager_config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.messages import message_templates
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.prometheus_config import (
    Paths,
    prometheus_config,
    target_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import JOBS, PREFIX, jobs, part_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import platforms
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, PlanError

ALERTS, RESTORE = "alerts", "restore"
FAST, REAL = "fast", "real"
SCALE = 1 / 60
DEFAULT_FAULT = "redis-exporter"
"""Nobody but Prometheus asks it, so nobody misses it."""
SEVERITIES = ("critical", "warning", "ticket")
SCRATCH = "/var/lib/aimesh-drill"
USER = "prometheus"
CONTAINER_USER = 10014
NAME = "aimesh-drill"
FOLDER, ALERTMANAGER, PROMETHEUS = "@folder@", "@alertmanager@", "@prometheus@"
"""What the module puts in when it knows them."""
SECTIONS = ("monitoring", "instances", "spares", "endpoints", "thresholds", "targets")
"""What a drill reads of the plan; all of it must be what was applied."""

FAST_LIMITS = {"start": 60.0, "soak": 10.0, "metric": 30.0, "rule": 40.0, "route": 40.0, "down": 300.0}
REAL_LIMITS = {"start": 60.0, "soak": 60.0, "metric": 90.0, "rule": 540.0, "route": 120.0, "down": 900.0}
"""Seconds. `down`: the longest that the unit may be stopped when nobody starts it again."""


@dataclass(frozen=True)
class Fault:
    """One unit of `host` is stopped; the alert `alert` with `labels` must come, and say one of `mentions`."""

    what: str
    host: str
    unit: str
    listen: tuple[str, int]
    alert: str
    target: dict[str, str]
    labels: dict[str, str]
    mentions: tuple[str, ...]
    costs: str
    """What callers of the mesh lose meanwhile, for people."""
    counted: bool = False
    """Whether what is stopped is no target of Prometheus any more."""


@dataclass(frozen=True)
class Drill:
    profile: str
    host: str
    fault: Fault
    limits: dict[str, float]

    @property
    def lines(self) -> list[str]:
        """What it does, for people."""
        watcher = (
            "a second Prometheus and Alertmanager with durations of 1/60 watch the same targets"
            if self.profile == FAST
            else "the mesh's own Prometheus and Alertmanager watch, with their own durations"
        )
        return [
            f"1. {self.host}: a synthetic alert of each severity ({', '.join(SEVERITIES)}) goes through the real route "
            "to the alert receiver, and is told to be over",
            f"2. {self.host}: {watcher}; nothing of {self.fault.what} fires for {self.limits['soak']:g} s",
            f"3. {self.fault.host}: {self.fault.unit} is stopped ({self.fault.costs}) until {self.fault.alert} has "
            f"arrived, {self.limits['down']:g} s at most",
            f"4. {self.fault.host}: {self.fault.unit} is started again, and {self.fault.alert} is told to be over",
        ]


def refusal(plan: Plan) -> str | None:
    """Why this plan has no alert drill, in one sentence; None when it has one."""
    wish = plan["wishes"]["drill"]
    if not wish:
        return "mesh_drill is not set; say which drill with -e mesh_drill=alerts or -e mesh_drill=restore."
    if wish == RESTORE:
        return "mesh_drill is restore, and this is the drill of alerts; hold it with -e mesh_drill=alerts."
    if plan.get("monitoring") is None:
        platform = plan["mesh"]["platform"]
        why = (
            "the group mesh_monitoring has no host"
            if platforms()[platform].monitoring
            else f"the platform {platform} has no monitoring"
        )
        return f"Nothing watches the mesh {plan['mesh']['name']}, since {why}, so there is no alert to drill."
    return None


def not_applied(plan: Plan, applied: Mapping[str, Any] | None) -> str | None:
    """Why the mesh is not the one of the plan, in one sentence; None when it is."""
    if applied is None:
        return f"The mesh {plan['mesh']['name']} is not deployed yet; run site.yml, then drill."
    sections = [*SECTIONS, *(["release"] if platforms()[plan["mesh"]["platform"]].containers else [])]
    differing = [name for name in sections if _comparable(plan, name) != _comparable(applied, name)]
    if not differing:
        return None
    return (
        f"The inventory says something else of {' and '.join(differing)} than what is applied, and a drill is about "
        "what runs; run site.yml, then drill."
    )


def _comparable(plan: Mapping[str, Any], section: str) -> Any:
    found = plan.get(section)
    return {key: value for key, value in found.items() if key != "source"} if section == "release" and found else found


def drill_of(plan: Plan) -> Drill:
    """The drill of a plan that `refusal` lets through. Raises PlanError for a fault that it cannot have."""
    wishes = plan["wishes"]
    profile = str(wishes.get("drill_profile") or FAST)
    fault = fault_of(plan, str(wishes.get("drill_fault") or DEFAULT_FAULT))
    return Drill(profile, str(plan["monitoring"]["host"]), fault, dict(FAST_LIMITS if profile == FAST else REAL_LIMITS))


def fault_of(plan: Plan, what: str) -> Fault:
    """The fault by the name of a service or of an exporter. Raises PlanError when the plan has neither."""
    if what in plan["services"]:
        return _of_service(plan, what)
    part = next((part for part in plan["monitoring"]["parts"] if part["part"] == what), None)
    if part is None:
        raise PlanError(f"mesh_drill_fault is {what}, and the plan has nothing of that name; leave it out.")
    job, service = JOBS[what]
    target = {"job": f"{PREFIX}{job}", "instance": f"{what}@{part['host']}"}
    return Fault(
        what,
        part["host"],
        part["unit"],
        (reachable(part["bind"]), part["port"]),
        "ExporterDown",
        target,
        {"job": target["job"], "host": part["host"], "service": service},
        (target["job"],),
        "no caller notices",
    )


def _of_service(plan: Plan, service: str) -> Fault:
    replicas = [instance for instance in plan["instances"] if instance["service"] == service]
    if not replicas:
        raise PlanError(f"mesh_drill_fault is {service}, and the plan has no replica of it; name another.")
    first = replicas[0]
    alone = len({(replica["host"], replica["unit"]) for replica in replicas}) == 1
    # In a cluster all replicas are one unit, and Prometheus finds them itself.
    counted = service in plan["monitoring"].get("discovered", {})
    target = {"job": f"{PREFIX}{service}"}
    return Fault(
        service,
        first["host"],
        first["unit"],
        (reachable(first["bind"]), first["port"]),
        "ServiceDown" if alone else "ReplicaMissing",
        target if counted else target | {"instance": first["id"]},
        {"service": service},
        (service,),
        f"{service} answers nobody" if alone else f"{len(replicas) - 1} of {len(replicas)} replicas of {service} serve",
        counted,
    )


def urls(plan: Plan) -> dict[str, str]:
    """Prometheus, Alertmanager and the alert receiver of the mesh, as the monitoring host reaches them."""
    names = {"prometheus": "prometheus", "alertmanager": "alertmanager", "receiver": "alert-receiver"}
    return {name: f"http://{part_of(plan, part)['address']}" for name, part in names.items()}


def logs(plan: Plan) -> tuple[str, str]:
    """The commands that show the logs of Prometheus and of Alertmanager."""
    platform = platforms()[plan["mesh"]["platform"]]
    show = "docker logs" if platform.containers else "journalctl -u"
    if platform.cluster:
        show = f"kubectl --namespace {plan['kubernetes']['namespace']} logs statefulset/"
        return f"{show}{part_of(plan, 'prometheus')['unit']}", f"{show}{part_of(plan, 'alertmanager')['unit']}"
    return f"{show} {part_of(plan, 'prometheus')['unit']}", f"{show} {part_of(plan, 'alertmanager')['unit']}"


def pair_files(plan: Plan, drill_id: str) -> list[File]:
    """What the second Prometheus and Alertmanager load, with paths below their folder.

    The same generators as for the mesh's own, at a 60th of the time. The second Alertmanager knows no receiver but the
    mesh's own ledger.
    """
    plan = _telling_nobody(plan)
    certificate = f"{FOLDER}/metrics_tls.pem"
    paths = Paths(
        rules=(f"{FOLDER}/rules.yml",), targets=f"{FOLDER}/targets", certificate=certificate, alertmanager=ALERTMANAGER
    )
    config = json.loads(prometheus_config(plan, paths, SCALE))
    config["global"]["external_labels"] |= {"drill": "true", "drill_id": drill_id}
    routes = alertmanager_config(plan, scale=SCALE, templates=f"{FOLDER}/templates/*.tmpl", tls_file=certificate)
    files = [
        File("alertmanager.yml", inline=routes.inline, secrets=routes.secrets),
        File("templates/aimesh.tmpl", text=message_templates(plan)),
        File("rules.yml", text=rule_file(plan, SCALE)),
        *(File(path, text=text) for path, text in target_files(plan, "targets").items()),
    ]
    if any(job.tls for job in jobs(plan)):
        files.append(
            File("metrics_tls.pem", inline="{{ secrets.metrics_tls | from_base64 }}", secrets=("metrics_tls",))
        )
    return [*files, File("prometheus.yml", text=json.dumps(config, indent=2) + "\n")]


def _telling_nobody(plan: Plan) -> Plan:
    monitoring = plan["monitoring"]
    alerting = monitoring["alerting"] | {"receivers": [], "routes": [], "deadman": None}
    return {**plan, "monitoring": monitoring | {"alerting": alerting}}


def pair_options(plan: Plan) -> dict[str, Any]:
    """How the second pair is run, without its files: `folder, bind, user, commands, after`; in a cluster its image."""
    platform = platforms()[plan["mesh"]["platform"]]
    # A pod sees its files in a folder that nobody can write to.
    data = SCRATCH if platform.cluster else FOLDER
    commands = {
        "alertmanager": [
            "/usr/bin/prometheus-alertmanager",
            f"--config.file={FOLDER}/alertmanager.yml",
            f"--storage.path={data}/alertmanager",
            f"--web.listen-address={ALERTMANAGER}",
            "--cluster.listen-address=",
        ],
        "prometheus": [
            "/usr/bin/prometheus",
            f"--config.file={FOLDER}/prometheus.yml",
            f"--storage.tsdb.path={data}/prometheus",
            f"--web.listen-address={PROMETHEUS}",
            "--rules.alert.resend-delay=1s",
        ],
    }
    if platform.cluster:
        image = plan["release"]["images"]["monitoring"]
        return {
            "commands": commands,
            "image": image["reference"],
            "pull_policy": "IfNotPresent" if image["pull"] else "Never",
            "pull_secret": plan["kubernetes"]["image_pull_secret"],
        }
    if not platform.containers:
        own = {"folder": SCRATCH, "bind": "127.0.0.1", "user": USER, "owner": USER}
        return own | {"commands": commands, "after": []}
    return {
        "folder": SCRATCH,
        "bind": part_of(plan, "prometheus")["bind"],
        "user": "",
        "owner": str(CONTAINER_USER),
        "commands": {name: [*_in_container(plan, name), *command] for name, command in commands.items()},
        "after": [["docker", "rm", "--force", f"{NAME}-{name}"] for name in commands],
    }


def _in_container(plan: Plan, name: str) -> list[str]:
    """A container that is as confined as those of the project. It shares the network of Prometheus's own, so that it
    reaches what that reaches, and takes no address from anybody."""
    return [
        "docker", "run", "--rm", "--pull", "never", "--name", f"{NAME}-{name}", "--label", "aimesh.drill=true",
        "--network", f"container:{part_of(plan, 'prometheus')['unit']}",
        "--user", f"{CONTAINER_USER}:{CONTAINER_USER}", "--read-only", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges:true", "--pids-limit", "256", "--memory", "512m", "--memory-swap", "512m",
        "--ulimit", "core=0",
        "--volume", f"{FOLDER}:{FOLDER}", "--workdir", FOLDER,
        plan["release"]["images"]["monitoring"]["reference"],
    ]  # fmt: skip
