"""The mesh app: one hardened unit per instance, its secrets as credentials, and the migration before them."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import (
    TOKEN_SUBJECTS,
    TOKENS,
    Locations,
    migration_environment,
    service_credentials,
    service_environment,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.layout import (
    READY_S,
    USER,
    config,
    quoted,
    reachable,
    unit_file,
    unit_path,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import (
    Directory,
    File,
    Group,
    Readiness,
    Release,
    Unit,
    User,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, hosts_with_role, instances_on

MIGRATE = "aimesh-migrate"
STOP_MARGIN_S = 5
"""A unit is killed this long after its drain should have ended."""

TOKENS_TEMPLATE = """\
[
{% for subject in vars.subjects %}
  {"subject": "{{ subject }}", "role": "{{ subject }}", "sha256": "{{ secrets[subject ~ '_token'] | sha256 }}"}\
{{ '' if loop.last else ',' }}
{% endfor %}
]
"""


def render(plan: Plan, host: str) -> Part:
    instances = instances_on(plan, host)
    migrates = hosts_with_role(plan, "app")[0] == host
    credentials = {name for each in instances for name in service_credentials(plan, each["service"]).values()}
    if migrates:
        credentials.add("db_owner_password")
    files = [*(_credential(plan, name) for name in sorted(credentials)), _policy(plan), _peers(plan)]
    units = []
    if migrates:
        files.append(_migrate_file(plan, host))
        units.append(_migrate_unit(plan))
    for instance in instances:
        files.append(_instance_file(plan, instance))
        units.append(_instance_unit(plan, instance))
    root = plan["mesh"]["paths"]["releases"]
    os = plan["hosts"][host]["os"]
    return Part(
        groups=(Group(USER),),
        users=(User(USER, group=USER),),
        directories=(
            Directory(config(plan, "credentials"), mode="0700"),
            Directory(root.rsplit("/", 1)[0]),
            Directory(root),
        ),
        files=tuple(files),
        release=Release(id=plan["release"]["id"], root=root, python=os["python"], arch=os["arch"]),
        units=tuple(units),
    )


def _credential_path(plan: Plan, name: str) -> str:
    return config(plan, "credentials", name)


def _credential(plan: Plan, name: str) -> File:
    path = _credential_path(plan, name)
    if name == TOKENS:
        secrets = tuple(f"{subject}_token" for subject in TOKEN_SUBJECTS)
        return File(path, inline=TOKENS_TEMPLATE, vars={"subjects": TOKEN_SUBJECTS}, secrets=secrets, mode="0600")
    return File(path, inline=f"{{{{ secrets.{name} }}}}", secrets=(name,), mode="0600")


def _policy(plan: Plan) -> File:
    return File(config(plan, "policy.json"), inline="{{ plan.policy | to_json(2) }}\n")


def _peers(plan: Plan) -> File:
    return File(config(plan, "peers.json"), inline="{{ plan.federation.peers | to_json(2) }}\n")


def _in_unit(name: str) -> str:
    """Path of a credential as the unit sees it; systemd puts its own directory in place of `%d`."""
    return f"%d/{name}"


def _assignments(environment: dict[str, str]) -> list[str]:
    """`Environment=` values; `%d` stays a specifier in the paths of credentials and nowhere else."""
    lines = []
    for name, value in sorted(environment.items()):
        text = "%d/" + quoted(value.removeprefix("%d/")) if value.startswith("%d/") else quoted(value)
        lines.append(f'"{name}={text}"')
    return lines


def _unit_values(plan: Plan, environment: dict[str, str], credentials: list[str], command: str) -> dict[str, Any]:
    program = f"{plan['mesh']['paths']['releases']}/{plan['release']['id']}/venv/bin/mesh"
    return {
        "user": USER,
        "command": f"{program} {command}",
        "environment": _assignments(environment),
        "credentials": [(name, _credential_path(plan, name)) for name in sorted(credentials)],
    }


def _instance_file(plan: Plan, instance: dict[str, Any]) -> File:
    service = plan["services"][instance["service"]]
    where = Locations(_in_unit, policy=config(plan, "policy.json"), peers=config(plan, "peers.json"))
    values = _unit_values(
        plan,
        service_environment(plan, instance, where),
        list(service_credentials(plan, instance["service"]).values()),
        instance["service"],
    )
    values |= {
        "description": f"{instance['service']} of the agent mesh {plan['mesh']['name']}, slot {instance['slot']}",
        "memory_mb": service["limits"]["memory_mb"],
        "cpu_percent": round(service["limits"]["cpus"] * 100),
        "stop_s": service["drain_s"] + STOP_MARGIN_S,
    }
    return unit_file(instance["unit"], "app.service.j2", values)


def _instance_unit(plan: Plan, instance: dict[str, Any]) -> Unit:
    credentials = service_credentials(plan, instance["service"]).values()
    loaded = [_credential_path(plan, name) for name in sorted(credentials)]
    if instance["service"] == "policy":
        loaded.append(config(plan, "policy.json"))
    if instance["service"] == "federation":
        loaded.append(config(plan, "peers.json"))
    release = plan["release"]["id"]
    return Unit(
        name=instance["unit"],
        files=(unit_path(instance["unit"]), *loaded),
        release=release,
        ready=Readiness(
            url=f"http://{reachable(instance['bind'])}:{instance['port']}/health/ready",
            version=release,
            timeout_s=READY_S,
        ),
    )


def _migrate_file(plan: Plan, host: str) -> File:
    environment = migration_environment(plan, host, _in_unit)
    values = _unit_values(plan, environment, ["db_owner_password"], "migrate")
    values["description"] = f"Schema of the agent mesh {plan['mesh']['name']}"
    return unit_file(MIGRATE, "migrate.service.j2", values)


def _migrate_unit(plan: Plan) -> Unit:
    return Unit(
        name=MIGRATE,
        files=(unit_path(MIGRATE), _credential_path(plan, "db_owner_password")),
        release=plan["release"]["id"],
        oneshot=True,
    )
