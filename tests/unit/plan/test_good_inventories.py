"""Inventories that have a plan, and what they have in it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.build import build_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import ControllerFacts, Releases, SecretState

from tests.unit.plan.sites import (
    BASELINE,
    CONTROLLER,
    IMAGES,
    LOCAL,
    ROOT,
    TWO_HOSTS,
    inputs_for,
    plan_of,
    read_site,
    with_lines,
)

SITES = {"small": BASELINE, "local": LOCAL, "two_hosts": TWO_HOSTS}
GOOD: list[tuple[str, str, str, str, Any]] = [
    ("small", "auth_is_on_without_being_set", "", "mesh.auth", "on"),
    ("local", "bare_off_is_a_word", "", "mesh.auth", "off"),
    ("small", "bare_on_is_a_word", "mesh_auth: on", "mesh.auth", "on"),
    (
        "small",
        "number_in_quotes_is_a_number",
        "mesh_services: {ui: {memory_mb: '384'}}",
        "services.ui.limits.memory_mb",
        384,
    ),
    (
        "small",
        "template_is_resolved",
        "mesh_domain: 'mesh.{{ corp }}.example'\ncorp: blue",
        "mesh.domain",
        "mesh.blue.example",
    ),
    ("small", "template_keeps_its_type", "mesh_scale: {registry: '{{ n }}'}\nn: 2", "services.registry.replicas", 2),
    ("small", "empty_wish_is_no_wish", "mesh_target_version:", "wishes.target_version", None),
    ("small", "wish_chooses_the_release", 'mesh_target_version: "1.10.0"', "release.id", "1.10.0+89abcdef"),
    ("small", "full_release_id_is_taken", "mesh_version: 1.10.0+89abcdef", "release.content", "89abcdef"),
    (
        "small",
        "wish_to_scale_wins_over_the_inventory",
        "mesh_services: {policy: {replicas: 2}}\nmesh_scale: {policy: 3}",
        "services.policy.replicas",
        3,
    ),
    ("small", "bookworm_brings_its_postgresql", "mesh_os: debian-12", "postgresql.version", "15"),
    ("small", "bookworm_brings_its_python", "mesh_os: debian-12", "hosts.vm1.os.python", "cp311"),
    ("small", "address_wins_over_ansible_host", "mesh_address: 192.0.2.77", "hosts.vm1.address", "192.0.2.77"),
    (
        "small",
        "setting_overrides_the_size",
        "mesh_postgresql: {settings: {work_mem: 64MB}}",
        "postgresql.settings.work_mem",
        "64MB",
    ),
    (
        "small",
        "connections_grow_with_replicas",
        "mesh_scale: {registry: 6}",
        "postgresql.settings.max_connections",
        "132",
    ),
    (
        "small",
        "a_scale_to_three_restarts_no_database",
        "mesh_scale: {registry: 3}",
        "postgresql.settings.max_connections",
        "120",
    ),
    (
        "small",
        "boolean_setting_is_written_as_postgresql_does",
        "mesh_postgresql: {settings: {fsync: true}}",
        "postgresql.settings.fsync",
        "on",
    ),
    (
        "small",
        "medium_without_what_the_platform_lacks",
        "mesh_size: medium\nmesh_postgresql: {replicas: 0}\nmesh_redis: {cluster: false}",
        "services.registry.replicas",
        2,
    ),
    (
        "small",
        "threshold_overrides_one_of_two",
        "mesh_thresholds: {error_ratio: 0.01}",
        "thresholds",
        {"error_ratio": 0.01, "latency_p95_s": 0.5, "agent_stale_s": 90},
    ),
    ("small", "other_database_login", "mesh_postgresql: {login: mesh_app_b}", "postgresql.active_login", "mesh_app_b"),
    ("small", "no_openid_provider_without_one", "other: 1", "access.oidc", None),
    (
        "small",
        "openid_provider",
        "mesh_oidc: {issuer: 'https://login.acme.example', audience: aimesh}",
        "access.oidc",
        {"role_claim": "roles", "issuer": "https://login.acme.example", "audience": "aimesh"},
    ),
    ("small", "no_request_limit", "mesh_requests_per_minute: 0", "access.requests_per_minute", 0),
    ("small", "rules_replace_the_default_ones", "mesh_policy_rules: []", "policy.rules", []),
    (
        "small",
        "cron_with_steps_and_lists",
        "mesh_backup: {schedule: '*/15 1,13 1-7 * 0'}",
        "backup.schedule",
        "*/15 1,13 1-7 * 0",
    ),
    ("small", "own_groups_are_the_operators", "other: 1", "mesh.name", "acme"),
    ("local", "state_dir_moves_every_path", "mesh_state_dir: /srv/m", "postgresql.data_dir", "/srv/m/postgresql"),
    ("local", "local_ports_can_move", "mesh_services: {ui: {port: 4005}}", "services.ui.port", 4005),
    ("local", "local_vault_store_is_allowed", "mesh_secret_store: vault", "secrets.admin_token.store", "vault"),
]


def at(plan: dict[str, Any], path: str) -> Any:
    value: Any = plan
    for key in path.split("."):
        value = value[key]
    return value


@pytest.mark.parametrize(("site", "_name", "lines", "path", "wanted"), GOOD, ids=[good[1] for good in GOOD])
def test_a_good_inventory_has_a_plan_that_says_so(
    site: str, _name: str, lines: str, path: str, wanted: Any, tmp_path: Path
) -> None:
    assert at(plan_of(tmp_path, with_lines(SITES[site], lines)), path) == wanted


def test_json_on_the_command_line_is_a_mapping(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, BASELINE, {"mesh_scale": '{"registry": "2"}', "mesh_accept_inventory": "yes"})
    assert plan["services"]["registry"]["replicas"] == 2
    assert plan["wishes"] == {
        "target_version": None,
        "scale": {"registry": 2},
        "drill": None,
        "drill_profile": "fast",
        "drill_fault": "redis-exporter",
        "drill_moment": "worst",
        "backup_kind": "incremental",
        "restore_to": "latest",
        "restore_repository": 0,
        "restore_overwrite": None,
        "empty_database": None,
        "accept_inventory": True,
    }


def test_a_plain_users_mesh_lives_in_their_home(tmp_path: Path) -> None:
    service = {"user": "ada", "create": False, "interpreter": "/usr/bin/python3"}
    plan = plan_of(tmp_path, LOCAL, controller=ControllerFacts(False, "/home/ada", "cp313", "x86_64", service))
    assert plan["mesh"]["state_home"]["path"] == "/home/ada/.local/state/aimesh/local/state"
    assert plan["hosts"]["localhost"]["service"]["user"] == "ada"
    assert plan_of(tmp_path, LOCAL, controller=CONTROLLER)["mesh"]["paths"]["run"] == "/var/lib/aimesh-local/run"


def test_of_a_key_ring_the_version_before_the_newest_is_planned_too(tmp_path: Path) -> None:
    one = plan_of(tmp_path, BASELINE, secrets={"jwt_key": SecretState(1, "aa")})
    assert "jwt_key_previous" not in one["secrets"]
    two = plan_of(
        tmp_path, BASELINE, secrets={"jwt_key": SecretState(2, "bb"), "jwt_key_previous": SecretState(1, "aa")}
    )
    assert two["secrets"]["jwt_key"] == {"store": "vault", "name": "jwt_key", "version": 2, "fingerprint": "bb"}
    assert two["secrets"]["jwt_key_previous"] == {
        "store": "vault",
        "name": "jwt_key",
        "version": 1,
        "fingerprint": "aa",
    }


def test_without_a_version_the_newest_release_by_number_is_taken(tmp_path: Path) -> None:
    text = "\n".join(line for line in BASELINE.splitlines() if "mesh_version" not in line)
    assert plan_of(tmp_path, text)["release"]["version"] == "1.10.0"


def test_an_unrelated_group_and_its_hosts_are_left_alone(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, BASELINE + "bastions:\n  hosts:\n    jump:\n      mesh_colour: blue\n")
    assert list(plan["hosts"]) == ["vm1"]


SHIPPED = sorted(path for path in (ROOT / "inventories").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", SHIPPED, ids=[folder.name for folder in SHIPPED])
def test_every_site_that_ships_has_a_plan(folder: Path) -> None:
    version = tomllib.loads((ROOT / "mesh_app/pyproject.toml").read_text())["project"]["version"]
    release = f"{version}+0123abcd"
    releases = Releases("dist", {version: release}, (release,), images={release: IMAGES})
    assert build_plan(inputs_for(read_site(folder, {}), releases=releases))["mesh"]["name"]


def test_the_sites_that_ship_are_found() -> None:
    assert {"local", "small", "prod", "compose"} <= {folder.name for folder in SHIPPED}
