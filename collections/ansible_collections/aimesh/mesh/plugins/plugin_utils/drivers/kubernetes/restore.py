"""The pod in which a database is brought back, and the volumes that it needs. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.confined import CONTAINER, confined_spec
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import BASELINE
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.backup import NAME, SOCKETS, backup_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import (
    BACKUP,
    POSTGRESQL,
    RESTORE,
    namespace,
    release,
    selector,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.values import chart_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

Object = dict[str, Any]
USER = 10011
DATA, BACKUPS = "data-postgresql-0", "backups"
HOME = "/var/lib/postgresql"


def restore_arguments(plan: Plan) -> Object:
    """The PostgreSQL cluster in the words of a restore, and what is asked for."""
    database, wishes = plan["postgresql"], plan["wishes"]
    cluster = {
        "manager": "pod",
        "version": database["version"],
        "name": "mesh",
        "port": database["port"],
        "data_dir": database["data_dir"],
        "bin_dir": f"/usr/lib/postgresql/{database['version']}/bin",
        "run_as": "postgres",
        "socket_dir": SOCKETS,
        "listen": [],
        "allow": [],
        "settings": {**BASELINE, **database["settings"]},
        "database": database["database"],
        "owner": {"name": database["owner"], "password": None, "member_of": []},
        "logins": [],
        "extensions": [],
        "unit": POSTGRESQL,
        "supervisor": "pod",
    }
    return {
        "cluster": cluster,
        "target": wishes["restore_to"],
        "repository": wishes["restore_repository"],
        "confirmed": wishes["restore_overwrite"] == plan["mesh"]["name"],
    }


def restore_pod(plan: Plan) -> Object:
    """The pod without its name and its command: as confined as the database's own, and without a token of the API."""
    values, (backup,) = chart_values(plan), backup_values(plan)
    image, port = values["images"]["postgresql"], values["postgresql"]
    folders = {DATA: HOME, BACKUPS: backup["root"], "sockets": SOCKETS, "tmp": "/tmp"}  # noqa: S108 - of the pod alone
    path = f"{backup['folder']}:/usr/lib/postgresql/{port['version']}/bin:/usr/local/bin:/usr/bin:/bin"
    container = {
        "name": RESTORE,
        "image": image["reference"],
        "imagePullPolicy": image["pullPolicy"],
        "env": [{"name": "PATH", "value": path}],
        "resources": port["resources"],
        "securityContext": CONTAINER,
        "volumeMounts": [
            *({"name": name, "mountPath": where} for name, where in folders.items()),
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108
            {"name": BACKUP, "mountPath": backup["folder"], "readOnly": True},
        ],
    }
    memory = {"medium": "Memory"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace(plan), "labels": selector(plan, RESTORE)},
        "spec": {
            **confined_spec(USER, values["imagePullSecrets"]),
            # While the database still runs, its volumes are on its node.
            "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": selector(plan, POSTGRESQL)},
                },
            }]}},
            "containers": [container],
            "volumes": [
                *({"name": name, "persistentVolumeClaim": {"claimName": name}} for name in (DATA, BACKUPS)),
                {"name": "sockets", "emptyDir": memory | {"sizeLimit": "1Mi"}},
                {"name": "shared-memory", "emptyDir": memory | {"sizeLimit": f"{port['sharedMemoryMb']}Mi"}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
                {"name": BACKUP, "projected": {"defaultMode": 0o440, "sources": _sources(backup["secretKeys"])}},
            ],
        },
    }  # fmt: skip


def claims(plan: Plan) -> list[Object]:
    """The two volumes, as the release would ask for them: where everything is lost, a restore comes before it."""
    values, (backup,) = chart_values(plan), backup_values(plan)
    helm = {
        "helm.sh/resource-policy": "keep",
        "meta.helm.sh/release-name": release(plan),
        "meta.helm.sh/release-namespace": namespace(plan),
    }
    theirs = {"app.kubernetes.io/managed-by": "Helm"}
    return [
        _claim(plan, DATA, POSTGRESQL, values["postgresql"]["storage"], {}, {}),
        _claim(plan, BACKUPS, BACKUP, backup["storage"], theirs, helm),
    ]


def _sources(keys: list[str]) -> list[Object]:
    files = [{"key": NAME, "path": NAME, "mode": 0o550}, {"key": "backup.json", "path": "backup.json"}]
    return [
        {"secret": {"name": BACKUP, "items": [{"key": key, "path": key} for key in keys]}},
        {"configMap": {"name": BACKUP, "items": files}},
    ]


def _claim(
    plan: Plan, name: str, component: str, storage: Object, more: dict[str, str], annotations: dict[str, str]
) -> Object:
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{storage['gb']}Gi"}},
    }
    if storage["className"]:
        spec["storageClassName"] = storage["className"]
    metadata = {"name": name, "namespace": namespace(plan), "labels": {**selector(plan, component), **more}}
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
