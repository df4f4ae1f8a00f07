"""pgbackrest.conf: repositories, their encryption and retention, and where the cluster is."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import locks, pgbackrest_conf, s3_ca
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import PASSPHRASE, S3_SECRETS
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

KEY, KEY_SECRET = S3_SECRETS


def pgbackrest_file(plan: Plan, socket_dir: str, *, owner: str, group: str, mode: str) -> File:
    """The file, readable for PostgreSQL's account alone: it holds the passphrase.

    `archive-push-queue-max` is absent on purpose: beyond it pgBackRest drops WAL and tells PostgreSQL it was archived.
    """
    backup, database = plan["backup"], plan["postgresql"]
    common = [
        ("compress-type", "zst"),
        ("start-fast", "y"),
        ("process-max", backup["process_max"]),
        ("lock-path", locks(plan)),
        ("log-level-file", "off"),
        # Standard output is for answers; who asks collects what goes wrong from standard error.
        ("log-level-console", "off"),
        ("log-level-stderr", "warn"),
    ]
    stored = [pair for each in backup["repositories"] for pair in _repository(plan, each)]
    cluster = [
        ("pg1-path", database["data_dir"]),
        ("pg1-port", database["port"]),
        ("pg1-socket-path", socket_dir),
    ]
    text = _section("global", [*common, *stored]) + "\n" + _section(backup["stanza"], cluster)
    secrets = (PASSPHRASE, *(S3_SECRETS if any(each["kind"] == "s3" for each in backup["repositories"]) else ()))
    return File(pgbackrest_conf(plan), inline=text, secrets=secrets, owner=owner, group=group, mode=mode)


def ca_files(plan: Plan, *, owner: str, group: str, mode: str) -> tuple[File, ...]:
    """The certificate authority of an object store that has one of its own."""
    certificates = [each["ca"] for each in plan["backup"]["repositories"] if each["kind"] == "s3" and each["ca"]]
    return tuple(File(s3_ca(plan), text=text.rstrip("\n") + "\n", owner=owner, group=group, mode=mode)
                 for text in certificates)  # fmt: skip


def _repository(plan: Plan, repository: dict[str, Any]) -> list[tuple[str, Any]]:
    n, days = f"repo{repository['number']}", plan["backup"]["retention_days"]
    pairs = [
        (f"{n}-path", repository["path"]),
        (f"{n}-cipher-type", "aes-256-cbc"),
        (f"{n}-cipher-pass", _secret(PASSPHRASE)),
        (f"{n}-bundle", "y"),
        (f"{n}-retention-full-type", "time"),
        (f"{n}-retention-full", days),
    ]
    if repository["kind"] == "local":
        return pairs
    pairs += [
        (f"{n}-type", "s3"),
        (f"{n}-s3-endpoint", repository["endpoint"]),
        (f"{n}-storage-port", repository["port"]),
        (f"{n}-s3-region", repository["region"]),
        (f"{n}-s3-bucket", repository["bucket"]),
        (f"{n}-s3-uri-style", repository["uri_style"]),
        (f"{n}-s3-key", _secret(KEY)),
        (f"{n}-s3-key-secret", _secret(KEY_SECRET)),
    ]
    return pairs + ([(f"{n}-storage-ca-file", s3_ca(plan))] if repository["ca"] else [])


def _secret(name: str) -> str:
    return f"{{{{ secrets.{name} }}}}"


def _section(name: str, pairs: list[tuple[str, Any]]) -> str:
    return f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in pairs)
