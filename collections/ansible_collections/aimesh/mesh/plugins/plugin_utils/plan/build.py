"""`build_plan`: inventory, controller facts, releases and secrets in; the plan, or all that is wrong, out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.applied import check_applied, version_key
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import (
    S3_SECRETS,
    archive_settings,
    backup_secrets,
    plan_backup,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.containers import (
    check_containers,
    host_containers,
    plan_images,
    put_in_containers,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import (
    OperatingSystem,
    Platform,
    SizeProfile,
    operating_systems,
    platforms,
    size_profile,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import (
    ControllerFacts,
    InventoryInput,
    PlanInputs,
    Releases,
    SecretState,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kubernetes import (
    check_kubernetes,
    images_of,
    is_outside,
    plan_autoscale,
    put_in_cluster,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import needed_secrets, plan_monitoring
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.ports import check_ports
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems, shown
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import SCHEMA, Plan, PlanError, digest_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.services import (
    plan_endpoints,
    plan_instances,
    plan_services,
    plan_spares,
    with_role,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings, read_settings
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.stores import plan_postgresql, plan_redis
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.topology import MeshHost, find_hosts
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.base import (
    KEY_RINGS,
    SECRET_NAMES,
    previous,
)

NAMESPACE = "aimesh-verify"
PROBE_TIMEOUT_S = 3
ROLE_CLAIM = "roles"
RETENTION_DAYS = 30
ROLLOUT: dict[str, Any] = {
    "soak_s": 15,
    "ready_timeout_s": 120,
    "traffic": True,
    "requests_per_second": 20,
    "p99_factor": 2.0,
    "backup": True,
}
NO_SCHEMA = {"level": 0, "compatible_from": 0}


@dataclass(frozen=True)
class Basics:
    """What has to be known before releases and secrets can be looked up."""

    mesh_name: str
    platform: str
    state: str
    store: str
    release_source: str
    secrets: tuple[str, ...]
    """Names of all that the mesh needs and a store can generate."""
    foreign_secrets: tuple[str, ...]
    """Those that only an operator knows."""


def read_basics(inventory: InventoryInput, controller: ControllerFacts) -> Basics:
    """Never raises: with a bad inventory it is made of defaults, and `build_plan` says what is wrong."""
    return _basics(read_settings(inventory, Problems()), controller)


def _basics(settings: Settings, controller: ControllerFacts) -> Basics:
    site = settings.site
    platform = site["mesh_platform"]
    needs = [find(settings, platforms()[platform]) for find in (needed_secrets, backup_secrets)]
    return Basics(
        mesh_name=site["mesh_name"] or "unnamed",
        platform=platform,
        state=_paths(site, controller)["state"],
        store=site["mesh_secret_store"] or ("file" if platform == "process" else "vault"),
        release_source=site["mesh_release_source"],
        secrets=(*SECRET_NAMES, *(name for generated, _ in needs for name in generated)),
        foreign_secrets=tuple(name for _, foreign in needs for name in foreign),
    )


def build_plan(inputs: PlanInputs) -> Plan:
    """The plan. The same inputs give the same document, byte for byte. Raises PlanError with every problem at once."""
    problems = Problems()
    settings = read_settings(inputs.inventory, problems)
    basics = _basics(settings, inputs.controller)
    platform = platforms()[basics.platform]
    profile = size_profile(settings.site["mesh_size"] or "small")
    hosts = find_hosts(inputs.inventory, settings, basics.platform, platform, problems)
    _check_site(settings, basics, problems)
    release = _installed(inputs) or _release(settings, inputs.releases, problems)
    if inputs.secrets_error:
        problems.tell(inputs.secrets_error)
    elif not inputs.releases.any_version:
        _check_foreign(inputs, basics, problems)
    if not platform.several_hosts and not platform.cluster and inputs.controller.service_error:
        problems.tell(inputs.controller.service_error)
    if not hosts or not all(with_role(hosts, role) for role in ("edge", "app", "data", "cache")):
        raise PlanError(problems.sentences)
    document = _document(inputs, settings, basics, platform, profile, hosts, release, problems)
    if platform.cluster:
        _use_cluster(document, settings, profile, inputs, problems)
    else:
        check_ports(document, settings, problems)
    if platform.containers and not platform.cluster:
        _use_containers(document, settings, inputs, problems)
    if inputs.applied and release["id"]:
        check_applied(document, inputs.applied, settings, problems)
    if problems:
        raise PlanError(problems.sentences)
    document["digest"] = digest_of(document)
    return document


def _use_containers(document: Plan, settings: Settings, inputs: PlanInputs, problems: Problems) -> None:
    """Turn the plan of a mesh on hosts into that of the same mesh in containers."""
    check_containers(document, settings, problems)
    put_in_containers(document)
    if document["release"]["id"]:
        document["release"]["images"] = plan_images(
            document, inputs.releases, inputs.applied, settings.site["mesh_image_registry"], problems
        )


def _use_cluster(
    document: Plan, settings: Settings, profile: SizeProfile, inputs: PlanInputs, problems: Problems
) -> None:
    """Turn the plan of a mesh on a host into that of the same mesh in a cluster."""
    put_in_cluster(document, settings, profile, problems)
    if document["release"]["id"]:
        document["release"]["images"] = plan_images(
            document,
            inputs.releases,
            inputs.applied,
            settings.site["mesh_image_registry"],
            problems,
            images_of(document),
        )


def _document(
    inputs: PlanInputs,
    settings: Settings,
    basics: Basics,
    platform: Platform,
    profile: SizeProfile,
    hosts: list[MeshHost],
    release: dict[str, Any],
    problems: Problems,
) -> Plan:
    site = settings.site
    services = plan_services(settings, profile, platform, hosts, problems)
    systems = {host.name: _system(host.name, settings, platform) for host in hosts}
    data, cache = with_role(hosts, "data")[0], with_role(hosts, "cache")[0]
    if platform.cluster:
        plan_autoscale(settings, profile, services, problems)
    is_local = not platform.several_hosts and not platform.cluster
    folder = _process_base(site, inputs.controller) if is_local else None
    data_dirs = (f"{folder}/postgresql", f"{folder}/redis") if folder else (None, None)
    paths = _paths(site, inputs.controller)
    backup = plan_backup(settings, profile, platform, data.name, problems)
    archive = archive_settings(backup, f"{paths['config']}/backup/pgbackrest.conf")
    return {
        "schema": SCHEMA,
        "digest": "",
        "mesh": {
            "name": basics.mesh_name,
            "domain": site["mesh_domain"] or ("localhost" if is_local else f"{basics.mesh_name}.internal"),
            "size": profile.size,
            "platform": basics.platform,
            "auth": site["mesh_auth"],
            "preflight": site["mesh_preflight"],
            "paths": paths,
            "state_home": {"host": data.name, "path": basics.state},
        },
        "release": release,
        "hosts": {host.name: _host(host, systems[host.name], settings, platform, inputs) for host in hosts},
        "services": services,
        "endpoints": plan_endpoints(services, platform, hosts),
        "instances": plan_instances(services, platform, hosts),
        "spares": plan_spares(services, platform, hosts),
        "postgresql": plan_postgresql(
            settings,
            profile,
            platform,
            systems[data.name],
            hosts,
            services,
            data_dirs[0],
            archive,
            problems,
            outside=is_outside(settings, "database"),
        ),
        "redis": plan_redis(
            settings,
            profile,
            platform,
            systems[cache.name],
            hosts,
            data_dirs[1],
            problems,
            outside=is_outside(settings, "cache"),
        ),
        "monitoring": plan_monitoring(settings, profile, platform, hosts, problems),
        "secrets": _secrets(inputs, basics),
        "access": {
            "oidc": {"role_claim": ROLE_CLAIM} | site["mesh_oidc"] if site["mesh_oidc"] else None,
            "requests_per_minute": site["mesh_requests_per_minute"],
        },
        "registry": {"mcp_servers": [dict(server) for server in site["mesh_mcp_servers"]]},
        "telemetry": {"retention_days": site["mesh_telemetry"].get("retention_days", RETENTION_DAYS)},
        "policy": {
            "rules": [dict(rule) for rule in site["mesh_policy_rules"]],
            "mask": list(site["mesh_policy_mask"]),
        },
        "federation": {"peers": [dict(peer) for peer in site["mesh_federation_peers"]]},
        "minima": dict(profile.minima),
        "agents": dict(profile.agents),
        "targets": profile.targets | site["mesh_targets"],
        "thresholds": {name: site["mesh_thresholds"].get(name, value) for name, value in profile.thresholds.items()},
        "backup": backup,
        "rollout": ROLLOUT | site["mesh_update"],
        "verify": {
            "writes": site["mesh_verify_writes"],
            "probe_timeout_s": site["mesh_verify"].get("probe_timeout_s", PROBE_TIMEOUT_S),
            "namespace": NAMESPACE,
            "from": site["mesh_verify_from"],
            **({"policies": site["mesh_kubernetes_policies"]} if platform.cluster else {}),
        },
        "wishes": {
            "target_version": inputs.release["id"] if inputs.release else site["mesh_target_version"],
            "scale": dict(site["mesh_scale"]),
            "drill": site["mesh_drill"],
            "drill_profile": site["mesh_drill_profile"],
            "drill_fault": site["mesh_drill_fault"],
            "drill_moment": site["mesh_drill_moment"],
            "backup_kind": site["mesh_backup_kind"],
            "restore_to": site["mesh_restore_to"],
            "restore_repository": site["mesh_restore_repository"],
            "restore_overwrite": site["mesh_restore_overwrite"],
            "empty_database": site["mesh_empty_database"],
            "accept_inventory": site["mesh_accept_inventory"],
        },
    }


def _process_base(site: Any, controller: ControllerFacts) -> str:
    if site["mesh_state_dir"]:
        return str(site["mesh_state_dir"]).rstrip("/")
    if controller.is_root:
        return "/var/lib/aimesh-local"
    return f"{controller.home.rstrip('/')}/.local/state/aimesh/{site['mesh_name'] or 'unnamed'}"


def _paths(site: Any, controller: ControllerFacts) -> dict[str, str]:
    if site["mesh_platform"] == "process":
        base = _process_base(site, controller)
        return {part: f"{base}/{part}" for part in ("state", "config", "releases", "logs", "run")}
    if platforms()[site["mesh_platform"]].cluster:
        # What is kept is in the API; the one folder is where pods find what they are told.
        return {"state": "", "config": "/etc/aimesh", "releases": "", "logs": "", "run": ""}
    return {
        "state": "/var/lib/aimesh",
        "config": "/etc/aimesh",
        "releases": "/opt/aimesh/releases",
        "logs": "/var/log/aimesh",
        "run": "/run/aimesh",
    }


def _system(host: str, settings: Settings, platform: Platform) -> OperatingSystem | None:
    return operating_systems()[settings.hosts[host]["mesh_os"]] if platform.postgresql is None else None


def _host(
    host: MeshHost,
    system: OperatingSystem | None,
    settings: Settings,
    platform: Platform,
    inputs: PlanInputs,
) -> dict[str, Any]:
    planned: dict[str, Any] = {"address": host.address, "roles": list(host.roles)}
    if platform.containers and not platform.cluster:
        planned["containers"] = host_containers(settings.hosts[host.name]["mesh_container_subnet"])
    if system:
        planned["os"] = {
            "id": settings.hosts[host.name]["mesh_os"],
            "python": system.python,
            "arch": settings.hosts[host.name]["mesh_arch"],
            "postgresql": system.postgresql,
            "redis": system.redis,
        }
        return planned
    controller = inputs.controller
    planned["os"] = {
        "id": "any",
        "python": controller.python,
        "arch": controller.arch,
        "postgresql": platform.postgresql,
        "redis": platform.redis,
    }
    if controller.service:
        planned["service"] = dict(controller.service)
    return planned


def _secrets(inputs: PlanInputs, basics: Basics) -> dict[str, dict[str, Any]]:
    names = (*basics.secrets, *basics.foreign_secrets)
    found = {name: (name, inputs.secrets.get(name, SecretState())) for name in names}
    rings = {previous(name): name for name in KEY_RINGS}
    found |= {entry: (name, inputs.secrets[entry]) for entry, name in rings.items() if entry in inputs.secrets}
    return {
        entry: {"store": basics.store, "name": name, "version": state.version, "fingerprint": state.fingerprint}
        for entry, (name, state) in found.items()
    }


def _check_foreign(inputs: PlanInputs, basics: Basics, problems: Problems) -> None:
    """A secret that nobody can generate has to be in the store already."""
    for name in basics.foreign_secrets:
        if not inputs.secrets.get(name, SecretState()).exists:
            asker = "mesh_backup.s3" if name in S3_SECRETS else "a receiver of mesh_alerting"
            problems.tell(
                f"The secret {name} is not in the {basics.store} store, and {asker} needs it; "
                f"add it (docs/secrets.md), or remove {'it' if name in S3_SECRETS else 'that receiver'}"
            )


def _installed(inputs: PlanInputs) -> dict[str, Any] | None:
    """The release that a rollback goes to."""
    return {**inputs.release, "source": inputs.releases.source} if inputs.release else None


def _release(settings: Settings, releases: Releases, problems: Problems) -> dict[str, Any]:
    """The release that mesh_target_version, else mesh_version asks for, else the newest; empty after a problem."""
    nothing = {"id": "", "version": "", "content": "", "source": releases.source, "schema": dict(NO_SCHEMA)}
    variable = "mesh_target_version" if settings.site["mesh_target_version"] else "mesh_version"
    wanted = settings.site[variable]
    if releases.error and wanted not in releases.ids:
        problems.tell(releases.error)
        return nothing
    wanted = wanted or max(releases.current, key=version_key)
    found = wanted if wanted in releases.ids else releases.current.get(wanted)
    if releases.any_version:
        found = found or max(releases.ids, key=version_key)
    if not found:
        there = ", ".join(sorted(releases.ids if "+" in wanted else releases.current, key=version_key))
        problems.at(settings.origins).say(
            variable,
            f"is {shown(wanted)}, which is not among the releases in {releases.source} ({there}); "
            "set one of these, or build it with make release",
        )
        return nothing
    version, _, content = found.partition("+")
    return {
        "id": found,
        "version": version,
        "content": content,
        "source": releases.source,
        "schema": dict(releases.schemas.get(found, NO_SCHEMA)),
    }


def _check_site(settings: Settings, basics: Basics, problems: Problems) -> None:
    """Rules between variables of the whole site."""
    site, at_site = settings.site, problems.at(settings.origins)
    process = basics.platform == "process"
    if site["mesh_auth"] == "off" and not process:
        at_site.wrong(
            "mesh_auth", "off", "on, since the mesh listens beyond loopback", "remove it, or set mesh_platform: process"
        )
    if basics.store != "vault" and not process:
        at_site.wrong(
            "mesh_secret_store",
            "file",
            "vault, since a file store lives in the state directory of local processes",
            "remove it, or set mesh_platform: process",
        )
    if site["mesh_state_dir"] and not process:
        at_site.wrong(
            "mesh_state_dir",
            site["mesh_state_dir"],
            f"nothing on platform {basics.platform}, which keeps its state in /var/lib/aimesh",
            "remove it",
        )
    if site["mesh_image_registry"] and not platforms()[basics.platform].containers:
        at_site.wrong(
            "mesh_image_registry",
            site["mesh_image_registry"],
            f"nothing on platform {basics.platform}, which runs no containers",
            "remove it, or set mesh_platform: compose",
        )
    check_kubernetes(settings, problems)
    for name in ("mesh_remove_data", "mesh_remove_backups", "mesh_restore_overwrite", "mesh_empty_database"):
        if site[name] and site[name] != site["mesh_name"]:
            at_site.wrong(name, site[name], f"{basics.mesh_name}, the mesh's name", "type that name, or leave it out")
    if site["mesh_remove_backups"] and not site["mesh_remove_data"]:
        at_site.say("mesh_remove_backups", f"is set without mesh_remove_data; add mesh_remove_data: {basics.mesh_name}")
    _check_exemptions(site["mesh_policy_rules"], at_site)
    _check_mcp_versions(site["mesh_mcp_servers"], at_site)
    for number, peer in enumerate(site["mesh_federation_peers"]):
        if peer["name"] == site["mesh_name"]:
            at_site.say(
                f"mesh_federation_peers[{number}].name",
                f"is {shown(peer['name'])}, the name of this mesh; give another mesh's",
            )


def _check_exemptions(rules: list[dict[str, Any]], at_site: Problems) -> None:
    """A rule that allows says which others it exempts from, and no other rule does."""
    ids = [rule["id"] for rule in rules]
    for number, rule in enumerate(rules):
        path, overrides = f"mesh_policy_rules[{number}].overrides", rule.get("overrides", [])
        if rule["effect"] == "allow" and not overrides:
            at_site.say(
                f"mesh_policy_rules[{number}]", "has effect allow and no overrides; name the rules it exempts from"
            )
        if rule["effect"] != "allow" and overrides:
            at_site.say(path, "belongs to effect allow; leave it out")
        for name in overrides:
            if name not in ids or name == rule["id"]:
                others = ", ".join(each for each in ids if each != rule["id"]) or "none"
                at_site.say(path, f"names {shown(name)}, which is no other rule; there are: {others}")


def _check_mcp_versions(servers: list[dict[str, Any]], at_site: Problems) -> None:
    """A server may be there in several versions, each once."""
    seen: dict[tuple[str, str], int] = {}
    for number, server in enumerate(servers):
        first = seen.setdefault((server["name"], server["version"]), number)
        if first != number:
            at_site.say(
                f"mesh_mcp_servers[{number}].version",
                f"is {shown(server['version'])}, as that of item {first} of the same name; give another version",
            )
