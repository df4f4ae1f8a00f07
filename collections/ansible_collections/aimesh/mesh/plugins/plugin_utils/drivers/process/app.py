"""The mesh app's six services and its migration: programs, credentials, what each loads."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import (
    TOKEN_SUBJECTS,
    TOKENS,
    Locations,
    command_script,
    credential_names,
    migration_environment,
    operator_credentials,
    operator_environment,
    service_credentials,
    service_environment,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.layout import MIGRATE_UNIT, Layout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.supervisor_config import (
    ProgramSpec,
    job_text,
    program_file,
    program_path,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File, Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, instances_on

READY_WITHIN_S = 30.0
DRAIN_MARGIN_S = 5
OWNER_CREDENTIAL = "db_owner_password"
PLAIN = {"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}


def files(plan: Plan, host: str, layout: Layout) -> list[File]:
    """Everything that the services load."""
    secrets = [name for name in credential_names(operator_credentials(plan)) if name != TOKENS]
    where = _locations(layout)
    return [
        *(_credential(layout, name) for name in (OWNER_CREDENTIAL, *secrets)),
        _tokens(layout),
        _document(layout, where.policy, plan["policy"]),
        _document(layout, where.peers, plan["federation"]["peers"]),
        _document(layout, where.mcp_servers, plan["registry"]["mcp_servers"]),
        _migration(plan, host, layout),
        _command(plan, host, layout),
        *(program_file(layout, _program(plan, layout, instance)) for instance in instances_on(plan, host)),
    ]


def units(plan: Plan, host: str, layout: Layout) -> list[Unit]:
    """The migration, then the services."""
    release = plan["release"]["id"]
    loaded = (job_file(layout), layout.credential(OWNER_CREDENTIAL))
    return [
        Unit(MIGRATE_UNIT, loaded, release, oneshot=True),
        *(_unit(plan, layout, instance, release) for instance in instances_on(plan, host)),
    ]


def mesh_command(plan: Plan, layout: Layout) -> str:
    return f"{layout.releases}/{plan['release']['id']}/venv/bin/mesh"


def _locations(layout: Layout) -> Locations:
    folder = layout.config
    return Locations(
        layout.credential,
        policy=f"{folder}/policy.json",
        peers=f"{folder}/peers.json",
        mcp_servers=f"{folder}/mcp_registry.json",
    )


def job_file(layout: Layout) -> str:
    return f"{layout.jobs}/{MIGRATE_UNIT}.json"


def _program(plan: Plan, layout: Layout, instance: dict[str, Any]) -> ProgramSpec:
    return ProgramSpec(
        name=instance["unit"],
        argv=(mesh_command(plan, layout), instance["service"]),
        directory=layout.run,
        environment=_process_environment(layout) | service_environment(plan, instance, _locations(layout)),
        stop_wait_s=int(plan["services"][instance["service"]]["drain_s"]) + DRAIN_MARGIN_S,
    )


def _unit(plan: Plan, layout: Layout, instance: dict[str, Any], release: str) -> Unit:
    service, name, where = instance["service"], instance["unit"], _locations(layout)
    credentials = [layout.credential(name) for name in credential_names(service_credentials(plan, service))]
    loaded = {"policy": where.policy, "federation": where.peers, "registry": where.mcp_servers}
    own = [loaded[service]] if service in loaded else []
    url = f"http://{instance['bind']}:{instance['port']}/health"
    return Unit(
        name=name,
        files=(program_path(layout, name), *credentials, *own),
        release=release,
        ready=Readiness(url=url, version=release, timeout_s=READY_WITHIN_S),
    )


def _migration(plan: Plan, host: str, layout: Layout) -> File:
    environment = _process_environment(layout) | migration_environment(plan, host, layout.credential)
    text = job_text(layout, (mesh_command(plan, layout), "migrate"), environment)
    return File(path=job_file(layout), text=text, owner=layout.root, group=layout.root, mode="0600")


def _command(plan: Plan, host: str, layout: Layout) -> File:
    environment = operator_environment(plan, host, _locations(layout))
    text = command_script(mesh_command(plan, layout), environment)
    return File(path=f"{layout.run}/aimesh", text=text, owner=layout.root, group=layout.root, mode="0755")


def _process_environment(layout: Layout) -> dict[str, str]:
    return {**PLAIN, "HOME": layout.run, "USER": layout.user}


def _credential(layout: Layout, name: str) -> File:
    inline = "{{ secrets['" + name + "'] }}"
    return _private(layout, layout.credential(name), inline, (name,))


def _tokens(layout: Layout) -> File:
    rows = ", ".join(
        f'{{"subject": "{name}", "role": "{name}", "sha256": "{{{{ secrets[\'{name}_token\'] | sha256 }}}}"}}'
        for name in TOKEN_SUBJECTS
    )
    names = tuple(f"{name}_token" for name in TOKEN_SUBJECTS)
    return _private(layout, layout.credential(TOKENS), f"[{rows}]\n", names)


def _private(layout: Layout, path: str, inline: str, secrets: tuple[str, ...]) -> File:
    owner = layout.owner
    return File(path=path, inline=inline, secrets=secrets, owner=owner, group=owner, mode="0600")


def _document(layout: Layout, path: str, document: Any) -> File:
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return File(path=path, text=text, owner=layout.root, group=layout.owner, mode="0640")
