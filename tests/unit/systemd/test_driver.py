from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd import (
    PRESET,
    render,
    render_migration,
    render_slot,
    rollout,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import HostState
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import RenderedFile, unit_fingerprint
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.slot_paths import slot_paths

from .conftest import rendered, secret_value

CREDENTIALS = "/etc/aimesh/credentials/"
KEPT_IN = {
    "/etc/aimesh/alertmanager/alertmanager.yml": ("prometheus", "0640"),
    "/etc/aimesh/backup/pgbackrest.conf": ("postgres", "0640"),
}
"""Group and mode of what holds secrets elsewhere."""


def unit(files: dict[str, RenderedFile], name: str) -> str:
    return files[f"/etc/systemd/system/{name}.service"].content or ""


WATCHING = (
    "node-exporter", "postgres-exporter", "redis-exporter", "blackbox-exporter", "alert-receiver", "alertmanager",
    "prometheus",
)  # fmt: skip
"""Parts of monitoring, in start order."""


def test_one_host_gets_the_packages_of_all_its_roles_and_no_others(state: HostState) -> None:
    packages = [name for name in state.packages if not name.startswith("prometheus")]
    assert set(packages) == {"haproxy", "postgresql-17", "redis-server", "pgbackrest", "age", "cron"}


def test_units_start_in_an_order_in_which_the_schema_comes_before_the_services(state: HostState) -> None:
    names = [each.name for each in state.units]
    assert names[0] == "aimesh-redis"
    assert names[1] == "aimesh-migrate"
    assert names[2:8] == [
        f"aimesh-{s}@a" for s in ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")
    ]
    assert names[8:] == ["aimesh-haproxy", *(f"aimesh-{part}" for part in WATCHING)]


def test_a_package_s_own_units_are_not_enabled_when_it_is_installed(state: HostState) -> None:
    preset = next(file for file in state.package_files if file.path == PRESET)
    assert "disable redis-server.service" in (preset.text or "")
    assert "disable haproxy.service" in (preset.text or "")


def test_debian_makes_no_main_cluster_beside_ours(state: HostState) -> None:
    texts = {file.path: file.text for file in state.package_files}
    assert texts["/etc/postgresql-common/createcluster.d/aimesh.conf"] == "create_main_cluster = false\n"


def test_each_role_brings_its_own_part_only(two_hosts: dict[str, Any]) -> None:
    node1, node2 = render(two_hosts, "node1"), render(two_hosts, "node2")
    assert node1.packages == ("haproxy", "prometheus-node-exporter")
    assert node1.postgresql is None
    assert node1.release is not None
    assert next(each.name for each in node1.units) == "aimesh-migrate"
    assert {"postgresql-17", "redis-server"} <= set(node2.packages) and "haproxy" not in node2.packages
    assert node2.release is None
    assert [each.name for each in node2.units] == ["aimesh-redis", *(f"aimesh-{part}" for part in WATCHING)]
    credentials = {file.path.removeprefix(CREDENTIALS) for file in node2.files if file.path.startswith(CREDENTIALS)}
    assert credentials == {"alert_token", "db_monitor_password", "redis_monitor.json"}


def test_services_on_another_host_reach_the_database_and_redis_by_address(two_hosts: dict[str, Any]) -> None:
    text = unit(rendered(two_hosts, "node1"), "aimesh-registry@a")
    assert '"MESH_DATABASE_URL=postgresql://mesh_app_a@192.0.2.12:5432/mesh_registry"' in text
    assert '"MESH_REDIS_URL=redis://mesh@192.0.2.12:6379/0"' in text


def test_only_the_first_app_host_migrates(two_hosts: dict[str, Any]) -> None:
    two_hosts["hosts"]["node3"] = {**two_hosts["hosts"]["node1"], "address": "192.0.2.13", "roles": ["app"]}
    assert "aimesh-migrate" not in [each.name for each in render(two_hosts, "node3").units]
    assert CREDENTIALS + "db_owner_password" not in rendered(two_hosts, "node3")


def test_no_secret_s_value_is_in_a_unit_or_in_any_world_readable_file(
    plan: dict[str, Any], files: dict[str, RenderedFile]
) -> None:
    canaries = [secret_value(name) for name in plan["secrets"]]
    holders = [path for path, file in files.items() if any(canary in (file.content or "") for canary in canaries)]
    assert holders, "the canaries are rendered somewhere, or this test proves nothing"
    for path in holders:
        # Programs that read their configuration again by themselves have it, secrets included, from one file.
        kept = KEPT_IN.get(path, ("root", "0600"))
        assert (files[path].group, files[path].mode) == kept, path
        assert files[path].owner == "root"
        assert files[path].sensitive
    assert {path for path in holders if not path.startswith(CREDENTIALS)} == set(KEPT_IN)


def test_every_variable_with_a_secret_names_a_credential_that_the_unit_loads(files: dict[str, RenderedFile]) -> None:
    for path in (path for path in files if path.startswith("/etc/systemd/system/aimesh-") and "@" in path):
        text = files[path].content or ""
        named = set(re.findall(r"%d/([a-z_.]+)", text))
        loaded = dict(re.findall(r"^LoadCredential=([^:]+):(.+)$", text, re.MULTILINE))
        assert named == set(loaded), path
        assert set(loaded.values()) <= set(files)


def test_each_service_gets_only_the_keys_it_works_with(files: dict[str, RenderedFile]) -> None:
    assert "session_key" in unit(files, "aimesh-ui@a")
    assert "federation_key" in unit(files, "aimesh-federation@a")
    for other in ("api-gateway", "registry", "telemetry", "policy"):
        text = unit(files, f"aimesh-{other}@a")
        assert "session_key" not in text
        assert "federation_key" not in text
        assert "db_owner_password" not in text


def test_only_the_registry_can_decrypt_credentials(files: dict[str, RenderedFile]) -> None:
    assert '"MESH_ENCRYPTION_KEY_FILES=%d/encryption_key"' in unit(files, "aimesh-registry@a")
    for other in ("api-gateway", "telemetry", "policy", "federation", "ui"):
        assert "encryption_key" not in unit(files, f"aimesh-{other}@a")


def test_a_rotated_key_ring_is_loaded_newest_first_with_the_version_before(plan: dict[str, Any]) -> None:
    plan["secrets"]["jwt_key_previous"] = plan["secrets"]["jwt_key"]
    text = unit(rendered(plan, "vm1"), "aimesh-telemetry@a")
    assert '"MESH_JWT_KEY_FILES=%d/jwt_key:%d/jwt_key_previous"' in text
    assert f"LoadCredential=jwt_key_previous:{CREDENTIALS}jwt_key_previous" in text


def test_an_openid_provider_reaches_every_service_and_none_is_named_without_one(plan: dict[str, Any]) -> None:
    assert "MESH_OIDC_" not in unit(rendered(plan, "vm1"), "aimesh-registry@a")
    plan["access"]["oidc"] = {"issuer": "https://login.acme.example", "audience": "aimesh", "role_claim": "groups"}
    text = unit(rendered(plan, "vm1"), "aimesh-registry@a")
    for line in (
        "MESH_OIDC_ISSUER=https://login.acme.example",
        "MESH_OIDC_AUDIENCE=aimesh",
        "MESH_OIDC_ROLE_CLAIM=groups",
    ):
        assert f'"{line}"' in text


def test_the_operators_command_names_files_and_holds_no_secret(files: dict[str, RenderedFile]) -> None:
    command = files["/usr/local/sbin/aimesh"]
    assert command.mode == "0755"
    text = command.content or ""
    assert f"export MESH_ENCRYPTION_KEY_FILES={CREDENTIALS}encryption_key\n" in text
    assert text.endswith('exec /opt/aimesh/releases/1.0.0+0123abcd/venv/bin/mesh "$@"\n')
    assert "canary" not in text


def test_only_the_first_app_host_has_the_operators_command(two_hosts: dict[str, Any]) -> None:
    two_hosts["hosts"]["node3"] = {**two_hosts["hosts"]["node1"], "address": "192.0.2.13", "roles": ["app"]}
    assert "/usr/local/sbin/aimesh" in rendered(two_hosts, "node1")
    assert "/usr/local/sbin/aimesh" not in rendered(two_hosts, "node3")


def test_tokens_are_handed_over_as_hashes(files: dict[str, RenderedFile]) -> None:
    tokens = json.loads(files[CREDENTIALS + "tokens.json"].content or "")
    assert [entry["subject"] for entry in tokens] == ["service", "verify", "admin"]
    assert all(re.fullmatch(r"[0-9a-f]{64}", entry["sha256"]) for entry in tokens)


def test_limits_and_drain_come_from_the_plan(plan: dict[str, Any]) -> None:
    plan["services"]["registry"] |= {"limits": {"memory_mb": 300, "cpus": 1.5}, "drain_s": 20}
    text = unit(rendered(plan, "vm1"), "aimesh-registry@a")
    assert "MemoryMax=300M\n" in text
    assert "CPUQuota=150%\n" in text
    assert "TimeoutStopSec=25\n" in text


def test_a_percent_sign_in_a_value_is_not_a_specifier(plan: dict[str, Any]) -> None:
    plan["mesh"]["name"] = 'a%h"me'
    assert r'Environment="MESH_NAME=a%%h\"me"' in unit(rendered(plan, "vm1"), "aimesh-registry@a")


def test_the_edge_binds_exactly_the_endpoints_of_the_plan(plan: dict[str, Any], files: dict[str, RenderedFile]) -> None:
    text = files["/etc/aimesh/haproxy/haproxy.cfg"].content or ""
    planned = [f"{each['bind']}:{each['port']}" for each in plan["endpoints"]]
    assert re.findall(r"^    bind (.+)$", text, re.MULTILINE) == planned
    assert "server vm1-a 127.0.0.1:13001\n" in text


def test_only_public_fronts_drop_the_address_that_a_client_claims(files: dict[str, RenderedFile]) -> None:
    text = files["/etc/aimesh/haproxy/haproxy.cfg"].content or ""
    fronts = {block.split("\n")[0]: block for block in text.split("\nfrontend ")[1:]}
    for header in ("X-Forwarded-For", "X-Forwarded-Proto"):
        assert {name for name, block in fronts.items() if f"del-header {header}" in block} == {"api-gateway", "ui"}


def test_the_runtime_socket_is_no_tcp_port_and_not_for_everybody(files: dict[str, RenderedFile]) -> None:
    text = files["/etc/aimesh/haproxy/haproxy.cfg"].content or ""
    assert "stats socket /run/aimesh/haproxy/admin.sock mode 660 level admin" in text
    assert not re.search(r"stats (enable|uri)|stats socket [^/]", text)


def test_redis_has_one_user_a_second_one_that_reads_no_key_and_the_default_one_is_off(
    files: dict[str, RenderedFile],
) -> None:
    lines = (files["/etc/aimesh/redis/users.acl"].content or "").splitlines()
    assert lines[0].startswith("user default off ")
    assert re.match(r"user mesh on #[0-9a-f]{64} ", lines[1])
    assert re.match(r"user mesh_monitor on #[0-9a-f]{64} ", lines[2])
    rights = lines[2].split()[4:]
    assert [word for word in rights if word[0] in "~&%"] == []
    assert "-@all" in rights
    assert len(lines) == 3


def test_the_redis_user_has_its_own_keys_and_neither_scripts_nor_administration(
    plan: dict[str, Any], files: dict[str, RenderedFile]
) -> None:
    rights = (files["/etc/aimesh/redis/users.acl"].content or "").splitlines()[1].split()[4:]
    assert [word for word in rights if word[0] in "~&%"] == [f"~mesh:{plan['mesh']['name']}:*"]
    assert {"-@admin", "-@dangerous", "-@scripting"} <= set(rights)


def test_only_services_that_call_others_hold_the_token_that_acts_for_anybody(files: dict[str, RenderedFile]) -> None:
    units = {path: file.content or "" for path, file in files.items() if path.endswith("@a.service")}
    holders = {path for path, text in units.items() if "LoadCredential=service_token:" in text}
    assert holders == {f"/etc/systemd/system/aimesh-{name}@a.service" for name in ("api-gateway", "ui")}


def test_no_process_of_the_mesh_leaves_a_core_file(files: dict[str, RenderedFile]) -> None:
    units = {path: file.content or "" for path, file in files.items() if path.endswith(".service")}
    assert len(units) >= 9
    assert [path for path, text in units.items() if "\nLimitCORE=0\n" not in text] == []


def test_a_changed_policy_restarts_the_policy_service_and_nothing_else(plan: dict[str, Any]) -> None:
    before = fingerprints(plan)
    plan["policy"]["rules"].pop()
    after = fingerprints(plan)
    assert {name for name in before if before[name] != after[name]} == {"aimesh-policy@a"}


def test_a_new_version_of_a_secret_restarts_those_that_load_it(plan: dict[str, Any]) -> None:
    before = fingerprints(plan)
    plan["secrets"]["session_key"] |= {"version": 2, "fingerprint": "ffffffffffffffff"}
    after = fingerprints(plan)
    assert {name for name in before if before[name] != after[name]} == {"aimesh-ui@a"}


def test_a_new_release_runs_the_migration_again_and_restarts_the_services_but_not_redis(plan: dict[str, Any]) -> None:
    before = fingerprints(plan)
    plan["release"]["id"] = "1.0.1+deadbeef"
    after = fingerprints(plan)
    unchanged = {name for name in before if before[name] == after[name]}
    assert unchanged == {"aimesh-redis", "aimesh-haproxy", *(f"aimesh-{part}" for part in WATCHING)}


def fingerprints(plan: dict[str, Any]) -> dict[str, str]:
    identities = {path: file.identity for path, file in rendered(plan, "vm1").items()}
    return {each.name: unit_fingerprint(each, identities) for each in render(plan, "vm1").units}


def test_the_default_user_has_no_open_password_so_that_other_hosts_are_let_in(files: dict[str, RenderedFile]) -> None:
    """Redis's protected mode turns every other host away while the default user is `nopass`, even when it is off."""
    assert "nopass" not in (files["/etc/aimesh/redis/users.acl"].content or "")


def test_the_slot_of_an_instance_is_what_the_host_renders_for_it(plan: dict[str, Any], state: HostState) -> None:
    slot = render_slot(plan, plan["instances"][1])
    assert (slot.instance, slot.service, slot.server) == ("registry@a", "registry", "registry/vm1-a")
    assert slot.unit in state.units and all(file in state.files for file in slot.files)
    migration = render_migration(plan)
    assert migration.unit in state.units and all(file in state.files for file in migration.files)


def test_a_spare_is_not_among_what_the_host_runs_and_differs_in_its_slot_only(
    plan: dict[str, Any], state: HostState
) -> None:
    spare, planned = render_slot(plan, plan["spares"][1]), render_slot(plan, plan["instances"][1])
    assert spare.server == "registry/vm1-b" and spare.unit.name not in {unit.name for unit in state.units}
    assert spare.unit.files[1:] == planned.unit.files[1:]
    assert spare.unit.ready and spare.unit.ready.url == "http://127.0.0.1:13011/health/ready"


def test_a_rollout_knows_the_edge_and_how_to_dump_the_database(plan: dict[str, Any], state: HostState) -> None:
    known = rollout(plan)
    assert known.haproxy_unit in {unit.name for unit in state.units}
    assert known.haproxy_config in {file.path for file in state.files}
    assert known.backup_command[-1] == "mesh_registry"


def test_what_a_rollout_alone_writes_are_slots_migration_and_the_list_of_servers(
    plan: dict[str, Any], state: HostState
) -> None:
    left = set(slot_paths(plan, "vm1"))
    own = {file.path for file in state.files}
    assert {path.rsplit("/", 1)[1] for path in own & left} == {
        "haproxy.cfg",
        "aimesh-migrate.service",
        *(f"{instance['unit']}.service" for instance in plan["instances"]),
    }
    assert "/etc/systemd/system/aimesh-registry@c.service" in left, "a slot that goes is the rollout's to remove"


def test_a_host_without_slots_has_no_files_of_a_rollout(two_hosts: dict[str, Any]) -> None:
    assert slot_paths(two_hosts, "node2") == []


def test_what_two_parts_need_is_there_once_and_in_one_way(plan: dict[str, Any], state: HostState) -> None:
    folders = [folder.path for folder in state.directories]
    assert folders.count("/etc/aimesh/credentials") == 1 and len(folders) == len(set(folders))
    assert len(rendered(plan, "vm1")) == len({file.path for file in [*state.package_files, *state.files]})
