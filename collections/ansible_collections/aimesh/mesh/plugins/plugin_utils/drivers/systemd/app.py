"""The mesh app: one hardened unit per instance, its secrets as credentials, and the migration before them."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import (
    command_script,
    credential_names,
    migration_environment,
    operator_credentials,
    operator_environment,
    service_credentials,
    service_environment,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_files import (
    credential_file,
    documents,
    loaded_documents,
    locations,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import (
    COMMAND,
    READY_S,
    STOP_MARGIN_S,
    config,
    credential_path,
    reachable,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.layout import (
    USER,
    quoted,
    unit_file,
    unit_path,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import (
    Directory,
    File,
    Group,
    Readiness,
    Release,
    Slot,
    Unit,
    User,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    Plan,
    hosts_with_role,
    instances_on,
    server_name,
)

MIGRATE = "aimesh-migrate"


def render(plan: Plan, host: str) -> Part:
    instances = instances_on(plan, host)
    migrates = hosts_with_role(plan, "app")[0] == host
    credentials = {name for each in instances for name in credential_names(service_credentials(plan, each["service"]))}
    if migrates:
        credentials |= {"db_owner_password", *credential_names(operator_credentials(plan))}
    files = [*(credential_file(plan, name) for name in sorted(credentials)), *documents(plan)]
    units = []
    if migrates:
        files += [_migrate_file(plan, host), _command(plan, host)]
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


def render_slot(plan: Plan, instance: dict[str, Any]) -> Slot:
    """The slot of a planned instance or of a spare."""
    return Slot(
        instance=instance["id"],
        service=instance["service"],
        server=server_name(instance),
        files=(_instance_file(plan, instance),),
        unit=_instance_unit(plan, instance),
        stop_s=plan["services"][instance["service"]]["drain_s"] + STOP_MARGIN_S,
    )


def render_migration(plan: Plan) -> Slot:
    """The migration to the plan's release, which runs on the first app host."""
    host = hosts_with_role(plan, "app")[0]
    return Slot("", "", "", files=(_migrate_file(plan, host),), unit=_migrate_unit(plan))


def _command(plan: Plan, host: str) -> File:
    where = locations(plan, lambda name: credential_path(plan, name))
    return File(COMMAND, text=command_script(_program(plan), operator_environment(plan, host, where)), mode="0755")


def _program(plan: Plan) -> str:
    return f"{plan['mesh']['paths']['releases']}/{plan['release']['id']}/venv/bin/mesh"


def _in_unit(name: str) -> str:
    """Path of a credential as the unit sees it; systemd puts its own directory in place of `%d`."""
    return f"%d/{name}"


def _assignments(environment: dict[str, str]) -> list[str]:
    """`Environment=` values; `%d` stays a specifier in the paths of credentials and nowhere else."""
    lines = []
    for name, value in sorted(environment.items()):
        paths = value.split(":") if value.startswith("%d/") else []
        text = ":".join("%d/" + quoted(path.removeprefix("%d/")) for path in paths) or quoted(value)
        lines.append(f'"{name}={text}"')
    return lines


def _unit_values(plan: Plan, environment: dict[str, str], credentials: list[str], command: str) -> dict[str, Any]:
    return {
        "user": USER,
        "command": f"{_program(plan)} {command}",
        "environment": _assignments(environment),
        "credentials": [(name, credential_path(plan, name)) for name in sorted(credentials)],
    }


def _instance_file(plan: Plan, instance: dict[str, Any]) -> File:
    service = plan["services"][instance["service"]]
    values = _unit_values(
        plan,
        service_environment(plan, instance, locations(plan, _in_unit)),
        credential_names(service_credentials(plan, instance["service"])),
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
    credentials = credential_names(service_credentials(plan, instance["service"]))
    loaded = [credential_path(plan, name) for name in sorted(credentials)]
    loaded += loaded_documents(plan, instance["service"])
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
        files=(unit_path(MIGRATE), credential_path(plan, "db_owner_password")),
        release=plan["release"]["id"],
        oneshot=True,
    )
