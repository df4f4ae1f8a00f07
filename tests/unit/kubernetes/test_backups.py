"""Backups in a cluster: the container beside the database, its files, and the pod of a restore."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import parse_spec
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.pod_program import pod_program
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.backup import (
    backup_values,
    configuration,
    configuration_map,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.restore import (
    claims,
    restore_arguments,
    restore_pod,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import BACKUPS, job_names, jobs
from kubernetes_objects import changed, rights
from schema_errors import VERSIONS, schema_errors

from tests.unit.kubernetes.plans import fixture, planned

ROOT = Path(__file__).parents[3]


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "k8s" / f"{name}.yaml").read_text(encoding="utf-8")))


def named(pod: dict[str, Any]) -> dict[str, Any]:
    found = changed(pod, metadata__name="restore-run-1")
    found["spec"]["containers"][0]["command"] = ["aimesh-backup", "restore-database", "{}"]
    return found


def container(name: str, part: str = "containers") -> dict[str, Any]:
    (found,) = [each for each in documents("postgres") if each["kind"] == "StatefulSet"]
    return next(each for each in found["spec"]["template"]["spec"][part] if each["name"] == name)


def test_the_program_is_one_file_that_needs_nothing_but_a_python(tmp_path: Path) -> None:
    program = tmp_path / "aimesh-backup"
    program.write_bytes(pod_program())
    assert zipfile.is_zipfile(program)
    for verb, says in (("sealed", "deploy the mesh first"), ("restore-look", "deploy the mesh first")):
        done = subprocess.run(
            [sys.executable, "-ISB", str(program), verb], capture_output=True, text=True, check=False, env={}, cwd="/"
        )
        assert done.returncode == 1, done.stderr
        assert says in json.loads(done.stdout)["message"]
    assert program.read_bytes() == pod_program(), "the same sources give the same program"


def test_the_specification_is_one_that_the_program_reads() -> None:
    spec = parse_spec(json.loads(configuration(fixture())["backup.json"]))
    assert spec.state == "/var/lib/aimesh-backup/state"
    assert (spec.commands.postgres, spec.redis) == ((), None)


def test_no_secret_is_in_the_configmap_and_a_wish_is_no_part_of_the_release() -> None:
    plan = fixture()
    text = json.dumps(configuration_map(plan))
    assert "cipher" not in text
    wish = changed(plan, wishes__empty_database="acme")
    assert json.loads(configuration(wish)["wishes.json"]) == {"begin_empty": True}
    assert backup_values(wish) == backup_values(plan)


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_objects_of_a_restore_and_lets_its_pod_in(version: str) -> None:
    plan = fixture()
    pod = named(restore_pod(plan))
    for each in (pod, configuration_map(plan), *claims(plan)):
        assert schema_errors(version, each) == []
    assert rights(pod["spec"]) == []
    assert rights({**pod["spec"], "automountServiceAccountToken": True}) == ["a token of the API"]
    assert schema_errors(version, changed(pod, spec__restart="Never"))


def test_what_makes_backups_reads_the_data_and_cannot_write_them() -> None:
    mounts = {each["name"]: each for each in container("backup")["volumeMounts"]}
    assert mounts["data"]["readOnly"] is True
    assert {name for name, each in mounts.items() if not each.get("readOnly")} == {"backups", "sockets", "scratch"}
    assert "env" not in container("postgresql")
    names = [each["name"] for each in container("backup")["env"]]
    assert names == ["PATH"], "a key would be seen in the environment"


def test_prometheus_is_told_of_backups_by_the_pod_that_makes_them() -> None:
    plan = fixture()
    port = plan["monitoring"]["backups"]["port"]
    made = container("backup")
    assert [each["containerPort"] for each in made["ports"]] == [port]
    assert f"aimesh-backup schedule '{{\"metrics_port\": {port}}}' &" in made["command"][-1]
    (service,) = [each for each in documents("postgres") if each["kind"] == "Service"]
    ports = {each["port"]: each["targetPort"] for each in service["spec"]["ports"]}
    assert ports == {5432: "postgresql", port: made["ports"][0]["name"]}
    (job,) = [each for each in jobs(plan) if each.name == BACKUPS]
    assert [target.address for target in job.targets] == [f"{service['metadata']['name']}:{port}"]
    rules = rule_file(plan)
    assert all(name in rules for name in ("BackupTooOld", "BackupFailed", "RestoreDrillStale"))
    assert f'absent(up{{job="{BACKUPS}", host="{plan["backup"]["host"]}", service="backup"}})' in rules


def test_where_nothing_makes_backups_nobody_is_asked_about_them() -> None:
    plan = planned("mesh_backup: {engine: none}")
    assert BACKUPS not in job_names(plan)
    assert "BackupTooOld" not in rule_file(plan)
    assert {each["port"] for each in plan["kubernetes"]["flows"] if each["to"] == "postgresql"} == {5432}


def test_the_server_has_no_credential_of_the_mesh_besides_its_own() -> None:
    there = {each["name"] for each in container("postgresql")["volumeMounts"]}
    assert not {"all-credentials", "redis-users", "state-home"} & there


def test_a_restore_has_the_volumes_that_the_release_asks_for() -> None:
    data, backups = claims(fixture())
    (stateful,) = [each for each in documents("postgres") if each["kind"] == "StatefulSet"]
    (template,) = stateful["spec"]["volumeClaimTemplates"]
    assert (data["metadata"]["name"], data["spec"]) == ("data-postgresql-0", template["spec"])
    (claim,) = [each for each in documents("postgres") if each["kind"] == "PersistentVolumeClaim"]
    assert (backups["metadata"]["name"], backups["spec"]) == (claim["metadata"]["name"], claim["spec"])
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_a_restore_takes_a_database_that_is_there_only_after_the_mesh_s_name() -> None:
    assert restore_arguments(fixture())["confirmed"] is False
    assert restore_arguments(changed(fixture(), wishes__restore_overwrite="acme"))["confirmed"] is True


def test_without_backups_the_database_is_alone_in_its_pod() -> None:
    plan = planned("mesh_backup: {engine: none}")
    assert backup_values(plan) == []
