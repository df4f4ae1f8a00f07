"""The process driver: what a local mesh looks like on its one host."""

from __future__ import annotations

import configparser
import hashlib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process import render
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.layout import RUNTIME_ID, layout_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.supervisor_config import (
    ProgramSpec,
    identity_of,
    program_text,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import HostState
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import render_files, unit_fingerprint

REPOSITORY = Path(__file__).resolve().parents[3]

SERVICES = ["api-gateway", "registry", "telemetry", "policy", "federation", "ui"]


def fingerprints(plan: dict[str, Any]) -> dict[str, str]:
    state = render(plan, "localhost")
    identities = {file.path: file.identity for file in render_files(state.files, plan, "localhost", None, None)}
    return {unit.name: unit_fingerprint(unit, identities) for unit in state.units}


def texts(state: HostState) -> dict[str, str]:
    return {file.path: file.text or file.inline or "" for file in state.files}


def test_the_lock_is_the_one_the_driver_was_written_for() -> None:
    lock = (REPOSITORY / "roles" / "platform_process" / "files" / "runtime.lock").read_bytes()
    assert hashlib.sha256(lock).hexdigest()[:12] == RUNTIME_ID


def test_redis_comes_first_then_the_migration_then_every_service(plan: dict[str, Any]) -> None:
    names = [unit.name for unit in render(plan, "localhost").units]
    assert names == ["aimesh-redis", "aimesh-migrate", *(f"aimesh-{service}@a" for service in SERVICES)]


def test_each_service_is_ready_when_it_answers_with_the_planned_release(plan: dict[str, Any]) -> None:
    for unit in render(plan, "localhost").units[2:]:
        assert unit.ready is not None
        assert unit.ready.version == plan["release"]["id"]
        assert (unit.ready.url or "").startswith("http://127.0.0.1:300")


def test_no_secret_stands_in_a_file_that_is_not_private(plan: dict[str, Any]) -> None:
    for file in render(plan, "localhost").files:
        if file.secrets:
            assert file.mode == "0600", file.path
        else:
            assert "secrets" not in (file.text or ""), file.path


def test_the_environment_of_a_program_names_files_and_never_a_secret(plan: dict[str, Any]) -> None:
    for path, text in texts(render(plan, "localhost")).items():
        if "/programs/aimesh-" in path and "@" in path:
            variables = dict(part.split("=", 1) for part in shlex.split(field(text, "environment").replace(",", " ")))
            secret = {name: value for name, value in variables.items() if "PASSWORD" in name or "TOKEN" in name}
            assert secret
            assert all(name.endswith("_FILE") and value.startswith("/") for name, value in secret.items())


def test_supervisord_listens_on_a_private_socket_and_on_no_port(plan: dict[str, Any]) -> None:
    text = texts(render(plan, "localhost"))["/var/lib/aimesh-local/config/supervisord.conf"]
    assert "inet_http_server" not in text
    assert "chmod=0700" in text


def test_every_program_file_is_what_supervisords_format_reads_back(plan: dict[str, Any]) -> None:
    for path, text in texts(render(plan, "localhost")).items():
        if path.endswith(".conf") and "/programs/" in path:
            parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
            parser.read_string(text)
            assert shlex.split(parser[parser.sections()[0]]["command"])[0].startswith("/var/lib/aimesh-local/")


def test_percent_and_spaces_survive_the_format() -> None:
    layout = layout_of(SMALLEST, "localhost")
    text = program_text(layout, ProgramSpec("p", ("/opt/my mesh/bin", "100%"), "/x", {"A": "50%"}))
    assert shlex.split(field(text, "command").replace("%%", "%")) == ["/opt/my mesh/bin", "100%"]
    assert field(text, "environment") == 'A="50%%"'


@pytest.mark.parametrize("value", ['say "no"', "back\\slash", "two\nlines"])
def test_a_value_that_the_format_cannot_carry_is_refused(value: str) -> None:
    layout = layout_of(SMALLEST, "localhost")
    with pytest.raises(PlanError):
        program_text(layout, ProgramSpec("p", ("/bin/true",), "/x", {"A": value}))


def test_as_root_the_programs_run_as_a_user_of_the_meshs_own(plan: dict[str, Any]) -> None:
    state = render(plan, "localhost")
    assert [user.name for user in state.users] == ["aimesh-local"]
    for path, text in texts(state).items():
        if "/programs/" in path:
            assert field(text, "user") == "aimesh-local", path


def test_a_plain_user_needs_no_account_and_owns_everything(plain_plan: dict[str, Any]) -> None:
    state = render(plain_plan, "localhost")
    assert (state.users, state.groups) == ((), ())
    assert {entry.owner for entry in (*state.files, *state.directories)} == {""}
    assert "user=" not in "".join(text for path, text in texts(state).items() if "/programs/" in path)
    assert state.postgresql is not None
    assert state.postgresql.run_as == "anna"


def test_only_data_is_kept_when_the_mesh_is_removed(plan: dict[str, Any]) -> None:
    kept = [directory.path for directory in render(plan, "localhost").directories if directory.keep]
    assert kept == ["/var/lib/aimesh-local/postgresql", "/var/lib/aimesh-local/redis"]


def test_no_folder_above_the_mesh_is_listed(plan: dict[str, Any]) -> None:
    for directory in render(plan, "localhost").directories:
        assert directory.path.startswith("/var/lib/aimesh-local/")


def _drain(plan: dict[str, Any]) -> None:
    plan["services"]["registry"]["drain_s"] = 9


def _policy(plan: dict[str, Any]) -> None:
    plan["policy"]["rules"] = []


def _peers(plan: dict[str, Any]) -> None:
    plan["federation"]["peers"] = [{"name": "other", "url": "http://127.0.0.1:4004"}]


def _redis_memory(plan: dict[str, Any]) -> None:
    plan["redis"]["maxmemory_mb"] = 32


def _session_key(plan: dict[str, Any]) -> None:
    plan["secrets"]["session_key"]["fingerprint"] = "ffffffffffffffff"


def _owner_password(plan: dict[str, Any]) -> None:
    plan["secrets"]["db_owner_password"]["fingerprint"] = "ffffffffffffffff"


@pytest.mark.parametrize(
    ("change", "units"),
    [
        (_drain, ["aimesh-registry@a"]),
        (_policy, ["aimesh-policy@a"]),
        (_peers, ["aimesh-federation@a"]),
        (_redis_memory, ["aimesh-redis"]),
        (_session_key, ["aimesh-ui@a"]),
        (_owner_password, ["aimesh-migrate"]),
    ],
)
def test_a_change_concerns_only_the_units_that_load_it(
    plan: dict[str, Any], change: Callable[[dict[str, Any]], None], units: list[str]
) -> None:
    before = fingerprints(plan)
    change(plan)
    after = fingerprints(plan)
    assert [name for name in before if before[name] != after[name]] == units


def test_a_new_release_concerns_every_service_and_the_migration_but_not_redis(plan: dict[str, Any]) -> None:
    before = fingerprints(plan)
    plan["release"]["id"] = "1.0.1+deadbeef"
    after = fingerprints(plan)
    assert [name for name in before if before[name] == after[name]] == ["aimesh-redis"]


def test_supervisord_is_replaced_for_another_interpreter_only(plan: dict[str, Any]) -> None:
    before = identity_of(layout_of(plan, "localhost"))
    plan["services"]["registry"]["drain_s"] = 9
    assert identity_of(layout_of(plan, "localhost")) == before
    plan["hosts"]["localhost"]["service"]["interpreter"] = "/usr/bin/python3.13"
    assert identity_of(layout_of(plan, "localhost")) != before


def test_a_state_directory_too_deep_for_sockets_is_refused_with_what_to_do(plan: dict[str, Any]) -> None:
    plan["mesh"]["paths"]["run"] = "/srv/" + "deep/" * 18 + "run"
    with pytest.raises(
        PlanError, match=r"too long for unix sockets by \d+ bytes; set mesh_state_dir to a shorter path"
    ):
        render(plan, "localhost")


def field(text: str, name: str) -> str:
    return next(line.split("=", 1)[1] for line in text.splitlines() if line.startswith(f"{name}="))


SMALLEST: dict[str, Any] = {
    "mesh": {"paths": {name: f"/m/{name}" for name in ("state", "config", "releases", "logs", "run")}},
    "hosts": {"localhost": {"service": {"user": "anna", "create": False, "interpreter": "/usr/bin/python3"}}},
    "postgresql": {"data_dir": "/m/postgresql", "port": 15432},
    "redis": {"data_dir": "/m/redis"},
}
