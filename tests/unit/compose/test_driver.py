"""What the driver renders: files, mounts, fingerprints, slots."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from ansible_collections.aimesh.mesh.plugins.action.removal import backup_points
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose import render, render_migration, rollout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import HostState
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, instances_of, spares_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import RenderedFile
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.slot_paths import slot_paths
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice

from tests.unit.plan.sites import ROOT

from .conftest import FOLDER, fingerprints, project, rendered, secret_value, slot_project

CREDENTIALS = "/etc/aimesh/credentials/"
SERVICES = ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")


def secrets_of(service: dict[str, Any]) -> set[str]:
    return {m["source"].removeprefix(CREDENTIALS) for m in service["volumes"] if m["source"].startswith(CREDENTIALS)}


def test_containers_start_in_an_order_in_which_the_schema_comes_before_the_services(state: HostState) -> None:
    names = [each.name for each in state.units]
    slots = [f"aimesh-{service}-a" for service in SERVICES]
    mesh = ["aimesh-redis", "aimesh-migrate", *slots, "aimesh-haproxy"]
    assert names[: len(mesh)] == mesh
    assert state.postgresql is not None
    assert state.postgresql.unit == "aimesh-postgresql"


def test_a_container_has_the_name_that_the_unit_has_and_the_files_that_it_needs(
    state: HostState, files: dict[str, RenderedFile]
) -> None:
    for unit in state.units:
        assert unit.container is not None
        merged: dict[str, Any] = {}
        for path in unit.container.files:
            merged |= yaml.safe_load(files[path].content or "")["services"]
        assert merged[unit.container.service]["container_name"] == unit.name
        assert set(unit.container.files) <= set(unit.files)


def test_plain_docker_compose_in_the_folder_sees_the_whole_project(files: dict[str, RenderedFile]) -> None:
    lines = dict(line.split("=", 1) for line in (files[f"{FOLDER}/.env"].content or "").splitlines())
    assert lines["COMPOSE_PROJECT_NAME"] == "aimesh"
    listed = lines["COMPOSE_FILE"].split(":")
    assert listed[0] == f"{FOLDER}/compose.yaml"
    assert sorted(listed) == sorted(path for path in files if path.startswith(FOLDER) and path.endswith(".yaml"))


def test_each_secret_reaches_only_the_containers_that_need_it(services: dict[str, dict[str, Any]]) -> None:
    holders: dict[str, set[str]] = {}
    for name, service in services.items():
        for secret in secrets_of(service):
            holders.setdefault(secret, set()).add(name.removesuffix("-a"))
    everybody = {*SERVICES, "admin"}
    assert holders == {
        "db_app_a_password": everybody,
        "redis_password": everybody,
        "tokens.json": everybody,
        "jwt_key": everybody,
        "service_token": {"api-gateway", "ui", "admin"},
        "encryption_key": {"registry", "admin"},
        "federation_key": {"federation", "admin"},
        "session_key": {"ui", "admin"},
        "db_owner_password": {"migrate"},
        "alert_token": {"ui", "admin"},
    }


def test_every_variable_with_a_secret_names_a_file_that_is_mounted(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        named = set(re.findall(r"/run/secrets/([a-z_.]+)", json.dumps(service.get("environment", {}))))
        assert named == secrets_of(service), name


def test_files_with_secrets_belong_to_the_container_s_account_and_to_nobody_else(
    plan: Plan, files: dict[str, RenderedFile]
) -> None:
    canaries = [secret_value(name) for name in plan["secrets"]]
    holders = [path for path, file in files.items() if any(canary in (file.content or "") for canary in canaries)]
    assert holders, "the canaries are rendered somewhere, or this test proves nothing"
    watching = [path for path in holders if not path.startswith(CREDENTIALS)]
    for path in set(holders) - set(watching):
        assert (files[path].owner, files[path].mode, files[path].sensitive) == ("10001", "0400", True)
    for path in watching:
        assert path.startswith(
            ("/etc/aimesh/alertmanager/", "/etc/aimesh/backup/", "/etc/aimesh/monitoring/", "/etc/aimesh/redis/")
        )
        assert files[path].sensitive
        assert (files[path].owner, files[path].group, files[path].mode) in (
            ("10014", "10014", "0400"),
            ("root", "10014", "0640"),
            ("root", "10012", "0640"),
            ("10011", "10011", "0400"),
        )


def test_what_a_container_mounts_is_rendered_or_made(state: HostState, services: dict[str, dict[str, Any]]) -> None:
    there = {file.path for file in state.files} | {folder.path for folder in state.directories}
    assert {mount["source"] for service in services.values() for mount in service["volumes"]} <= there


def test_data_outlives_a_removal_that_keeps_it(state: HostState) -> None:
    kept = {folder.path for folder in state.directories if folder.keep}
    assert {"/var/lib/aimesh/postgresql/17", "/var/lib/aimesh/redis", "/var/lib/aimesh"} <= kept


def test_the_runtime_socket_s_folder_comes_back_after_a_reboot(files: dict[str, RenderedFile]) -> None:
    assert "d /run/aimesh/haproxy 0750 10013 10013\n" in (files["/etc/tmpfiles.d/aimesh.conf"].content or "")
    assert "stats socket /run/aimesh/haproxy/admin.sock mode 660" in (
        files["/etc/aimesh/haproxy/haproxy.cfg"].content or ""
    )


def test_the_edge_lists_slots_and_spares_by_the_addresses_of_their_containers(files: dict[str, RenderedFile]) -> None:
    text = files["/etc/aimesh/haproxy/haproxy.cfg"].content or ""
    assert "    server vm1-a 172.29.64.11:13001\n" in text
    assert "    server vm1-b 172.29.64.21:13011 disabled\n" in text
    assert re.findall(r"^    bind (\S+)$", text, re.MULTILINE)[:2] == ["0.0.0.0:3000", "172.29.64.2:3001"]


def test_a_slot_s_file_in_a_rollout_is_the_one_of_a_deploy(plan: Plan, services: dict[str, dict[str, Any]]) -> None:
    for service in SERVICES:
        (instance,) = instances_of(plan, service)
        assert slot_project(plan, instance) == services[f"{service}-a"]


def test_a_spare_differs_from_its_slot_in_name_address_and_port_alone(plan: Plan) -> None:
    a = json.dumps(slot_project(plan, instances_of(plan, "registry")[0]))
    b = json.dumps(slot_project(plan, spares_of(plan, "registry")[0]))
    assert a != b
    moved = {"13011": "13001", "172.29.64.21": "172.29.64.11", "registry-b": "registry-a", "registry@b": "registry@a"}
    for new, old in moved.items():
        assert new in b
        b = b.replace(new, old)
    assert b == a


def test_no_file_of_a_spare_is_there_before_an_update(files: dict[str, RenderedFile]) -> None:
    assert not any("-b.yaml" in path for path in files)


def test_the_migration_of_a_rollout_is_the_one_of_a_deploy(plan: Plan, state: HostState) -> None:
    migration = render_migration(plan)
    assert migration.unit in state.units
    assert all(file in state.files for file in migration.files)


def test_a_rollout_knows_where_the_edge_is(plan: Plan, state: HostState) -> None:
    known = rollout(plan)
    assert known.supervisor == "compose"
    assert known.haproxy_config in {file.path for file in state.files}
    assert known.haproxy_unit in {unit.name for unit in state.units}
    assert known.backup_command[:4] == ("docker", "exec", "--interactive", "aimesh-postgresql")


def test_the_preparation_of_a_rollout_leaves_the_files_of_slots_and_writes_all_others(
    plan: Plan, state: HostState
) -> None:
    left = set(slot_paths(plan, "vm1"))
    assert {f"{FOLDER}/slots/registry-{slot}.yaml" for slot in "abc"} <= left
    assert left & {file.path for file in state.files} == {
        *(f"{FOLDER}/slots/{service}-a.yaml" for service in SERVICES),
        f"{FOLDER}/parts/migrate.yaml",
        "/etc/aimesh/haproxy/haproxy.cfg",
    }


def test_a_changed_policy_restarts_the_policy_service_and_nothing_else(plan: Plan) -> None:
    before = fingerprints(plan)
    plan["policy"]["rules"].pop()
    after = fingerprints(plan)
    assert {name for name in before if before[name] != after[name]} == {"aimesh-policy-a"}


def test_a_new_release_restarts_the_services_and_runs_the_migration_and_leaves_the_rest(plan: Plan) -> None:
    before = fingerprints(plan)
    plan["release"]["id"] = "1.0.1+deadbeef"
    plan["release"]["images"]["mesh-app"]["reference"] = "aimesh/mesh-app:1.0.1-deadbeef"
    after = fingerprints(plan)
    mesh = {name for name in before if before[name] != after[name]}
    assert mesh == {"aimesh-migrate", *(f"aimesh-{service}-a" for service in SERVICES)}


def test_a_new_version_of_a_secret_restarts_those_that_load_it(plan: Plan) -> None:
    before = fingerprints(plan)
    plan["secrets"]["session_key"] |= {"version": 2, "fingerprint": "ffffffffffffffff"}
    after = fingerprints(plan)
    assert {name for name in before if before[name] != after[name]} == {"aimesh-ui-a"}


def test_the_operators_command_runs_in_a_container_that_goes_away(files: dict[str, RenderedFile]) -> None:
    command = files["/usr/local/sbin/aimesh"]
    text = command.content or ""
    assert command.mode == "0755"
    assert f"--file {FOLDER}/parts/admin.yaml" in text
    assert 'run --rm --no-deps --no-TTY admin "$@"' in text
    assert "canary" not in text


def test_a_dollar_sign_in_a_value_is_no_variable_of_compose(plan: Plan) -> None:
    plan["mesh"]["name"] = "a$HOME"
    environment = project(plan, "vm1")["services"]["registry-a"]["environment"]
    assert environment["MESH_NAME"] == "a$$HOME"


def test_each_host_gets_the_images_of_its_roles(two_hosts: Plan) -> None:
    assert [image.name for image in render(two_hosts, "node1").images] == ["mesh-app", "haproxy", "monitoring"]
    assert [image.name for image in render(two_hosts, "node2").images] == ["postgresql", "redis", "monitoring"]
    assert render(two_hosts, "node1").postgresql is None


def test_a_host_that_runs_no_container_gets_no_docker_engine(two_hosts: Plan) -> None:
    two_hosts["hosts"]["node3"] = {**two_hosts["hosts"]["node1"], "address": "192.0.2.13", "roles": ["monitoring"]}
    state = render(two_hosts, "node3")
    assert (state.packages, state.files, state.project) == ((), (), None)
    assert render(two_hosts, "node2").packages


def test_only_the_first_app_host_migrates(two_hosts: Plan) -> None:
    two_hosts["hosts"]["node3"] = {**two_hosts["hosts"]["node1"], "address": "192.0.2.13", "roles": ["app"]}
    assert "aimesh-migrate" not in [each.name for each in render(two_hosts, "node3").units]
    assert CREDENTIALS + "db_owner_password" not in rendered(two_hosts, "node3")


def test_what_rollouts_dump_is_a_backup_to_a_removal(plan: Plan) -> None:
    part = Slice(plan, "vm1", None, ROOT, check_mode=False, resolve=None)
    assert backup_points(part) == [rollout(plan).backup_dir] == ["/var/lib/aimesh/backup-points"]
