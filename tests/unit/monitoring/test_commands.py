"""Command lines of what watches the mesh: every option is one that both Debians' programs have."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from typing import Any

import jinja2
import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import (
    HOST_COLLECTORS,
    PROGRAMS,
    READY,
    Seen,
    redis_passwords,
    run_of,
    web_config,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import JOBS, part_of
from monitoring_tools import tool

from tests.unit.monitoring.plans import small_plan

SEEN = Seen(config="/c", data="/d", credential="/s", certificate="/pem", web="/w", script="/receiver.py")
OPTION = re.compile(r"^--?([a-z][a-z0-9._-]*)")
SUITES = ("bookworm", "trixie")
DEBIAN = [name for name in PROGRAMS if name != "alert-receiver"]


def part(name: str, *, tls: bool = False) -> dict[str, Any]:
    return part_of(small_plan(), name) | {"tls": tls}


@cache
def known_options(name: str, suite: str) -> frozenset[str]:
    """What a program's own help says, of one Debian."""
    program = PROGRAMS[name].rpartition("/")[2].replace("prometheus-alertmanager", "alertmanager")
    done = subprocess.run(
        [str(tool(program, suite)), "--help"], capture_output=True, text=True, timeout=30, check=False
    )
    return frozenset(re.findall(r"-{1,2}(?:\[no-\])?([a-z][a-z0-9._-]*)", done.stdout + done.stderr))


def options(command: tuple[str, ...]) -> set[str]:
    return {match[1] for word in command[1:] if (match := OPTION.match(word))}


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("name", DEBIAN)
@pytest.mark.parametrize("tls", [False, True])
def test_every_option_is_known_to_the_program_of_each_debian(name: str, suite: str, tls: bool) -> None:
    used = options(run_of(small_plan(), part(name, tls=tls), SEEN).command)
    assert used
    assert used - known_options(name, suite) == set()


@pytest.mark.parametrize("suite", SUITES)
def test_an_option_that_a_program_does_not_have_is_found(suite: str) -> None:
    assert options(("node", "--collector.nonsense")) - known_options("node-exporter", suite)


def test_every_part_has_a_program_and_a_path_on_which_it_is_ready() -> None:
    assert set(PROGRAMS) == set(READY) == set(JOBS)


def test_parts_listen_where_the_plan_says_unless_told_otherwise() -> None:
    for name in PROGRAMS:
        each = part(name)
        assert f"{each['bind']}:{each['port']}" in " ".join(run_of(small_plan(), each, SEEN).command)
        assert f"0.0.0.0:{each['port']}" in " ".join(run_of(small_plan(), each, SEEN, bind="0.0.0.0").command)


def test_no_command_and_no_variable_holds_a_secret_but_the_path_of_its_file() -> None:
    for name in PROGRAMS:
        run = run_of(small_plan(), part(name), SEEN)
        assert "secrets." not in " ".join([*run.command, *run.environment.values()])
    assert run_of(small_plan(), part("postgres-exporter"), SEEN).environment["DATA_SOURCE_PASS_FILE"] == "/s"


def test_go_is_told_of_the_memory_that_there_is_and_python_is_not() -> None:
    each = part("node-exporter") | {"memory_mb": 100}
    assert run_of(small_plan(), each, SEEN).environment["GOMEMLIMIT"] == "90MiB"
    assert run_of(small_plan(), part("alert-receiver"), SEEN).environment == {}


def test_a_part_without_tls_has_no_option_of_it() -> None:
    assert not [word for word in run_of(small_plan(), part("redis-exporter"), SEEN).command if "tls" in word]
    assert "--web.config.file=/w" in run_of(small_plan(), part("node-exporter", tls=True), SEEN).command
    assert "--web.config.file=/w" not in run_of(small_plan(), part("node-exporter"), SEEN).command


def test_collectors_are_those_that_are_asked_for() -> None:
    few = run_of(small_plan(), part("node-exporter"), Seen(collectors=HOST_COLLECTORS)).command
    assert "--collector.netdev" in run_of(small_plan(), part("node-exporter"), SEEN).command
    assert "--collector.netdev" not in few
    assert "--collector.disable-defaults" in few


def test_the_redis_exporter_finds_its_password_by_either_address() -> None:
    plan = small_plan()
    environment = jinja2.Environment(autoescape=False)  # noqa: S701  # JSON, not HTML
    environment.filters["to_json"] = json.dumps
    text = environment.from_string(redis_passwords(plan, "vm1")).render(secrets={"redis_monitor_password": 'a"b'})
    assert json.loads(text) == {
        "redis://127.0.0.1:6379": 'a"b',
        "redis://mesh_monitor@127.0.0.1:6379": 'a"b',
    }


def test_tls_lets_in_only_who_has_the_mesh_s_certificate() -> None:
    server = json.loads(web_config("/pem"))["tls_server_config"]
    assert server["client_auth_type"] == "RequireAndVerifyClientCert"
    assert {server["cert_file"], server["key_file"], server["client_ca_file"]} == {"/pem"}
