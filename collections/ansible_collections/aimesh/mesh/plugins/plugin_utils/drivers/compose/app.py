"""The mesh app in containers: one per slot, its secrets as files, the migration and the operator's command as jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.compose import PROJECT
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import (
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
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.layout import (
    APP_ID,
    base_path,
    container,
    networks,
    part_path,
    slot_path,
    unit_name,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.service import Mount, Service, service_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import (
    COMMAND,
    READY_S,
    STOP_MARGIN_S,
    config,
    credential_path,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, Readiness, Slot, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    ANY_ADDRESS,
    Plan,
    endpoints_on,
    hosts_with_role,
    instances_on,
    postgresql_host,
    redis_host,
    server_name,
)

MIGRATE, ADMIN = "migrate", "admin"
JOB_MEMORY_MB = 512
PYTHON = "/opt/mesh/bin/python"
SECRETS = "/run/secrets"
CREDENTIAL_MODE = "0400"


def render(plan: Plan, host: str) -> Part:
    instances = instances_on(plan, host)
    migrates = hosts_with_role(plan, "app")[0] == host
    credentials = {name for each in instances for name in credential_names(service_credentials(plan, each["service"]))}
    files = documents(plan)
    units = []
    if migrates:
        credentials |= {"db_owner_password", *credential_names(operator_credentials(plan))}
        files += [_migrate_file(plan, host), _admin_file(plan, host), _command(plan)]
        units.append(_migrate_unit(plan))
    files += [_slot_file(plan, instance) for instance in instances]
    units += [_slot_unit(plan, instance) for instance in instances]
    return Part(
        directories=(Directory(config(plan, "credentials"), mode="0700"),),
        files=(*(credential_file(plan, name, APP_ID, CREDENTIAL_MODE) for name in sorted(credentials)), *files),
        units=tuple(units),
    )


def render_slot(plan: Plan, instance: dict[str, Any]) -> Slot:
    """The slot of a planned instance or of a spare."""
    return Slot(
        instance=instance["id"],
        service=instance["service"],
        server=server_name(instance),
        files=(_slot_file(plan, instance),),
        unit=_slot_unit(plan, instance),
        stop_s=_stop_s(plan, instance),
    )


def render_migration(plan: Plan) -> Slot:
    """The migration to the plan's release, which runs on the first app host."""
    host = hosts_with_role(plan, "app")[0]
    return Slot("", "", "", files=(_migrate_file(plan, host),), unit=_migrate_unit(plan))


def _slot_name(instance: dict[str, Any]) -> str:
    return f"{instance['service']}-{instance['slot']}"


def _stop_s(plan: Plan, instance: dict[str, Any]) -> int:
    return int(plan["services"][instance["service"]]["drain_s"]) + STOP_MARGIN_S


def _slot_file(plan: Plan, instance: dict[str, Any]) -> File:
    name, host, port = instance["service"], instance["host"], instance["port"]
    service, published = plan["services"][name], instance["published"]
    environment = service_environment(plan, instance, locations(plan, _in_container))
    if published:
        # A published port reaches the container at another address than that of the mesh's own network.
        environment["MESH_BIND"] = ANY_ADDRESS
    return service_file(
        plan,
        slot_path(plan, _slot_name(instance)),
        Service(
            name=_slot_name(instance),
            image="mesh-app",
            user=APP_ID,
            command=(name,),
            memory_mb=service["limits"]["memory_mb"],
            cpus=service["limits"]["cpus"],
            networks=networks(published, calls_out=_calls_out(plan, host, name)),
            address=instance["bind"],
            ports=((published, port),) if published else (),
            environment=environment,
            mounts=_mounts(plan, credential_names(service_credentials(plan, name)), loaded_documents(plan, name)),
            health=_health(instance["bind"], port),
            stop_s=_stop_s(plan, instance),
            labels={"aimesh.release": plan["release"]["id"], "aimesh.instance": instance["id"]},
        ),
    )


def _slot_unit(plan: Plan, instance: dict[str, Any]) -> Unit:
    path, release = slot_path(plan, _slot_name(instance)), plan["release"]["id"]
    credentials = credential_names(service_credentials(plan, instance["service"]))
    loaded = [credential_path(plan, name) for name in sorted(credentials)]
    return Unit(
        name=instance["unit"],
        files=(base_path(plan), path, *loaded, *loaded_documents(plan, instance["service"])),
        release=release,
        ready=Readiness(
            url=f"http://{instance['bind']}:{instance['port']}/health/ready", version=release, timeout_s=READY_S
        ),
        container=container(plan, _slot_name(instance), path),
    )


def _migrate_file(plan: Plan, host: str) -> File:
    return service_file(
        plan,
        part_path(plan, MIGRATE),
        Service(
            name=MIGRATE,
            image="mesh-app",
            user=APP_ID,
            command=("migrate",),
            memory_mb=JOB_MEMORY_MB,
            networks=networks(None, calls_out=postgresql_host(plan) != host),
            environment=migration_environment(plan, host, _in_container),
            mounts=_mounts(plan, ["db_owner_password"], []),
            job=True,
            labels={"aimesh.release": plan["release"]["id"]},
        ),
    )


def _migrate_unit(plan: Plan) -> Unit:
    path = part_path(plan, MIGRATE)
    return Unit(
        name=unit_name(MIGRATE),
        files=(base_path(plan), path, credential_path(plan, "db_owner_password")),
        release=plan["release"]["id"],
        oneshot=True,
        container=container(plan, MIGRATE, path),
    )


def _admin_file(plan: Plan, host: str) -> File:
    papers = [document.path for document in documents(plan)]
    return service_file(
        plan,
        part_path(plan, ADMIN),
        Service(
            name=ADMIN,
            image="mesh-app",
            user=APP_ID,
            command=("--help",),
            memory_mb=JOB_MEMORY_MB,
            networks=networks(None, calls_out=any(_calls_out(plan, host, name) for name in plan["services"])),
            environment=operator_environment(plan, host, locations(plan, _in_container)),
            mounts=_mounts(plan, credential_names(operator_credentials(plan)), papers),
            job=True,
            labels={"aimesh.release": plan["release"]["id"]},
        ),
    )


def _command(plan: Plan) -> File:
    text = (
        "#!/bin/sh\n"
        "# The mesh's own command in a container of its own: aimesh doctor, aimesh admin --help.\n"
        f"exec docker compose --progress quiet --project-name {PROJECT} "
        f"--file {base_path(plan)} --file {part_path(plan, ADMIN)} \\\n"
        f'  run --rm --no-deps --no-TTY {ADMIN} "$@"\n'
    )
    return File(COMMAND, text=text, mode="0755")


def _calls_out(plan: Plan, host: str, service: str) -> bool:
    """Whether the service calls what is not on its host's own network: a peer, an OpenID provider, another host."""
    if plan["access"]["oidc"] or (service == "federation" and plan["federation"]["peers"]):
        return True
    return not {postgresql_host(plan), redis_host(plan)} <= {host} or not endpoints_on(plan, host)


def _in_container(name: str) -> str:
    """Path of a credential as the container sees it."""
    return f"{SECRETS}/{name}"


def _mounts(plan: Plan, credentials: Iterable[str], papers: Iterable[str]) -> tuple[Mount, ...]:
    return (
        *(Mount(credential_path(plan, name), _in_container(name)) for name in sorted(credentials)),
        *(Mount(path, path) for path in papers),
    )


def _health(address: str, port: int) -> tuple[str, ...]:
    """The image has no curl; Python without its site packages answers in a few hundredths of a second."""
    script = (
        "import http.client as h, sys; "
        f"c = h.HTTPConnection('{address}', {port}, timeout=3); "
        "c.request('GET', '/health/ready'); "
        "sys.exit(c.getresponse().status != 200)"
    )
    return ("CMD", PYTHON, "-I", "-S", "-c", script)
