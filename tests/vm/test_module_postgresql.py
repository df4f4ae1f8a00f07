"""The module postgresql on a real Debian host: a cluster made, tuned, interrupted, adopted, and never lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from container_modules import ContainerModules

from tests.testbed import Testbed

OWNER, APP_A, APP_B = "canary-owner-password", "canary-a-password", "canary-b-password"
SETTINGS = {
    "shared_buffers": "32MB",
    "max_connections": "40",
    "work_mem": "4MB",
    "wal_level": "replica",
    "archive_mode": "on",
    "archive_command": "",
    "password_encryption": "scram-sha-256",
}
DATA = "/var/lib/postgresql/17/mesh"
CONFIG = "/etc/postgresql/17/mesh"
CLUSTER: dict[str, Any] = {
    "manager": "debian",
    "version": "17",
    "name": "mesh",
    "port": 5432,
    "data_dir": DATA,
    "bin_dir": "/usr/lib/postgresql/17/bin",
    "run_as": "postgres",
    "socket_dir": "/var/run/postgresql",
    "listen": ["127.0.0.1"],
    "allow": ["127.0.0.1/32"],
    "settings": SETTINGS,
    "database": "mesh_registry",
    "owner": {"name": "mesh", "password": OWNER},
    "logins": [
        {"name": "mesh_app_a", "password": APP_A, "member_of": ["mesh"]},
        {"name": "mesh_app_b", "password": APP_B, "member_of": ["mesh"]},
    ],
    "extensions": ["pg_trgm"],
    "unit": "postgresql@17-mesh",
}


class Host:
    """The VM, and calls of the module on it."""

    def __init__(self, modules: ContainerModules) -> None:
        self.modules = modules
        self.shell = modules.shell

    def call(self, *, check: bool = False, **changes: Any) -> dict[str, Any]:
        args = {"state_dir": "/var/lib/aimesh", "run_id": "test", "cluster": {**CLUSTER, **changes}}
        result = self.modules.run("postgresql", args, check=check, diff=True)
        assert "canary" not in json.dumps(result)
        return result

    def steady(self, **changes: Any) -> None:
        """Nothing left to do, by prediction and by deed, and no restart."""
        before = self.pid()
        assert [self.call(check=check, **changes)["actions"] for check in (True, False)] == [[], []]
        assert self.pid() == before

    def pid(self) -> str:
        return self.shell(f"head -1 {DATA}/postmaster.pid")

    def sql(self, statement: str, login: str = "mesh_app_a", password: str = APP_A) -> str:
        command = f'PGPASSWORD={password} psql -h 127.0.0.1 -U {login} -d mesh_registry -Atqc "{statement}" 2>&1'
        return self.shell(command, check=False).strip()


@pytest.fixture(scope="module")
def host(bed: Testbed) -> Iterator[Host]:
    modules = ContainerModules(bed.start("postgresql").container)
    modules.shell(
        "mkdir -p /etc/postgresql-common/createcluster.d && "
        "echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/aimesh.conf"
    )
    bare = Host(modules)
    predicted = bare.call(check=True)
    assert predicted["changed"] and "cluster: made" in predicted["actions"]
    refused = bare.call()
    assert refused["failed"] and "package" in refused["msg"]
    modules.shell(
        "apt-get update -qq && DEBIAN_FRONTEND=noninteractive "
        "apt-get install -y -qq --no-install-recommends postgresql-17 >/dev/null 2>&1"
    )
    assert bare.call()["changed"]
    yield bare


def test_a_cluster_is_made_once_with_checksums_and_the_planned_encoding(host: Host) -> None:
    host.steady()
    asked = "select current_setting('data_checksums'), pg_encoding_to_char(encoding), datcollate from pg_database"
    assert host.sql(f"{asked} where datname = 'mesh_registry'") == "on|UTF8|C.UTF-8"
    assert host.sql("select current_setting('shared_buffers')") == "32MB"
    assert host.shell("systemctl is-enabled postgresql@17-mesh").startswith("enabled")


def test_logins_share_what_they_make_and_come_in_with_their_password_only(host: Host) -> None:
    assert host.sql("create table of_a (n int)") == ""
    host.sql("insert into of_a values (1)")
    assert host.sql("alter table of_a owner to mesh") == ""
    assert host.sql("select n from of_a", "mesh_app_b", APP_B) == "1"
    assert "password authentication failed" in host.sql("select 1", password="wrong")
    assert "no pg_hba.conf entry" in host.sql("select 1", "postgres", "x")
    assert host.shell("grep -rc canary /var/log/postgresql/ || true").strip().endswith(":0")


def test_a_setting_that_can_be_reloaded_restarts_nothing(host: Host) -> None:
    changed = {**SETTINGS, "work_mem": "6MB"}
    before = host.pid()
    assert host.call(check=True, settings=changed)["changed"]
    done = host.call(settings=changed)
    assert "cluster: reloaded" in done["actions"] and not done["restarted"] and host.pid() == before
    assert host.sql("select current_setting('work_mem')") == "6MB"
    host.steady(settings=changed)
    host.call()


def test_a_setting_that_needs_a_restart_gets_exactly_one(host: Host) -> None:
    changed = {**SETTINGS, "max_connections": "45"}
    before = host.pid()
    done = host.call(settings=changed)
    assert done["restarted"] and "cluster: restarted for max_connections" in done["actions"] and host.pid() != before
    assert host.sql("select current_setting('max_connections')") == "45"
    host.steady(settings=changed)
    host.call()


def test_another_port_is_one_restart_and_back(host: Host) -> None:
    assert host.call(check=True, port=5433)["actions"][-1] == "cluster: restarted for port"
    assert host.call(port=5433)["restarted"]
    host.steady(port=5433)
    assert host.call()["restarted"]
    host.steady()


@pytest.mark.parametrize(("name", "value"), [("work_mem", "8 bananas"), ("shared_bufers", "8MB")])
def test_a_setting_that_the_server_refuses_leaves_it_running_as_it_was(host: Host, name: str, value: str) -> None:
    before = host.pid()
    refused = host.call(settings={**SETTINGS, name: value})
    assert refused["failed"] and "refuses the plan's settings" in refused["msg"] and name in refused["msg"]
    assert "\n" not in refused["msg"] and host.pid() == before
    host.call()
    host.steady()


def test_a_rotated_password_is_set_without_a_restart_and_the_old_one_no_longer_works(host: Host) -> None:
    rotated = [{**CLUSTER["logins"][0], "password": "canary-rotated"}, CLUSTER["logins"][1]]
    assert host.call(logins=rotated)["actions"] == ["role mesh_app_a: password set"]
    assert "authentication failed" in host.sql("select 1") and host.sql("select 1", password="canary-rotated") == "1"
    host.steady(logins=rotated)
    assert host.call()["actions"] == ["role mesh_app_a: password set"]


def test_drift_made_by_hand_is_taken_back(host: Host) -> None:
    host.shell("runuser -u postgres -- psql -qc 'alter role mesh_app_b superuser; revoke mesh from mesh_app_b'")
    assert host.call()["actions"] == ["role mesh_app_b: rights set", "role mesh_app_b: member of mesh"]
    host.shell(f"echo 'host all all 0.0.0.0/0 trust' >> {CONFIG}/pg_hba.conf")
    assert host.call()["actions"] == [f"file {CONFIG}/pg_hba.conf: written", "cluster: reloaded"]
    host.steady()


def test_a_stopped_and_a_killed_server_are_started_again_with_their_data(host: Host) -> None:
    host.shell("systemctl stop postgresql@17-mesh")
    assert host.call(check=True)["actions"] == ["cluster: started"]
    assert host.call()["actions"] == ["cluster: started"]
    host.shell("systemctl kill -s KILL postgresql@17-mesh; sleep 1")
    assert "cluster: started" in host.call()["actions"]
    assert host.sql("select n from of_a") == "1"


def test_kept_data_without_its_configuration_is_adopted(host: Host) -> None:
    host.shell(f"systemctl stop postgresql@17-mesh; rm -rf {CONFIG}")
    assert host.call(check=True)["actions"][0] == "cluster: adopted"
    assert host.call()["actions"][0] == "cluster: adopted"
    assert host.sql("select n from of_a") == "1" and host.sql("select current_setting('ssl')") == "on"
    assert host.call(port=5433)["restarted"] and host.call()["restarted"]
    host.steady()


def test_data_that_is_not_mounted_is_never_replaced_by_an_empty_cluster(host: Host) -> None:
    host.shell(f"systemctl stop postgresql@17-mesh; mv {DATA} {DATA}.away; install -d -o postgres -m 0700 {DATA}")
    for check in (True, False):
        refused = host.call(check=check)
        assert refused["failed"] and f"is gone from {DATA}" in refused["msg"]
    host.shell(f"rmdir {DATA}; mv {DATA}.away {DATA}")
    assert host.call()["actions"] == ["cluster: started"] and host.sql("select n from of_a") == "1"


def test_data_of_another_version_is_refused(host: Host) -> None:
    refused = host.call(version="16")
    assert refused["failed"] and f"The data in {DATA} is of PostgreSQL 17, the plan wants 16" in refused["msg"]


def test_an_interrupted_making_is_done_again(host: Host) -> None:
    host.shell(
        f"systemctl stop postgresql@17-mesh; rm -rf {CONFIG} {DATA}/*; echo 17 > {DATA}/PG_VERSION; "
        "sed -i s/made/creating/ /var/lib/aimesh/postgresql.json"
    )
    assert host.call()["actions"][0] == "cluster: made"
    host.steady()
