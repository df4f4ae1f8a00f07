"""The state home of a mesh on Kubernetes: one ConfigMap that holds the files of a state directory.

Whoever works on it gets them in a folder of his own; what he changed goes back as one write, which the API server
refuses when somebody else has written meanwhile. So the records, and the rules of the run lease, are those of every
platform.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError, ConflictError
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import renew_if_holder

Result = TypeVar("Result")

LARGE = 8192
"""Bytes from which on a record is kept compressed: all of them share the megabyte of a ConfigMap."""
ROOM = 1000 * 1024
ATTEMPTS = 5
SEPARATOR, PACKED = "__", ".gz"
SCRATCH = (".lock", ".aimesh-tmp")
PART_OF = "app.kubernetes.io/part-of"
PURPOSE = {PART_OF: "aimesh", "app.kubernetes.io/component": "state-home"}


def state_map_name(mesh: str) -> str:
    """Name of the ConfigMap. It is no part of the Helm release, so that it outlives one that is taken away."""
    return f"{mesh}-state-home"


def pack(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """`data` and `binaryData` of the ConfigMap for files by relative path; the same files give the same document.

    Raises StateFileError when they are too large.
    """
    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    for path, content in sorted(files.items()):
        key = path.replace("/", SEPARATOR)
        if len(content) >= LARGE:
            binary[key + PACKED] = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        else:
            data[key] = content.decode("utf-8")
    size = sum(len(key) + len(value) for each in (data, binary) for key, value in each.items())
    if size > ROOM:
        raise StateFileError(
            f"The state home of the mesh would take {size // 1024} KiB, and a ConfigMap holds {ROOM // 1024}; "
            "shorten what the inventory repeats (mesh_policy_rules, mesh_mcp_servers)."
        )
    return {"data": data, "binaryData": binary}


def unpack(document: Mapping[str, Any] | None) -> dict[str, bytes]:
    """Files by relative path. Raises StateFileError for a value that is not one of ours."""
    found = {key.replace(SEPARATOR, "/"): text.encode() for key, text in ((document or {}).get("data") or {}).items()}
    for key, text in ((document or {}).get("binaryData") or {}).items():
        try:
            found[key.removesuffix(PACKED).replace(SEPARATOR, "/")] = gzip.decompress(base64.b64decode(text))
        except (ValueError, OSError, EOFError):
            raise StateFileError(
                f"The key {key} of the state home is not one of ours; restore the ConfigMap from a backup, "
                "or remove the key and deploy again."
            ) from None
    return found


def with_state(cluster: Cluster, name: str, work: Callable[[str], Result], *, writes: bool = True) -> Result:
    """What `work` returns for the folder of the state home; what it wrote there is in the cluster afterwards.

    `work` is done again, on what is there then, when another run has written meanwhile. Raises ClusterError,
    StateFileError, and what `work` raises.
    """
    for attempt in range(ATTEMPTS):
        try:
            with _mirror(cluster, name, writes) as folder:
                return work(folder)
        except ConflictError:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def renew_lease(cluster: Cluster, name: str, run_id: str) -> None:
    """Renew the run's lease. Raises LeaseLostError when another run has it: nothing may be changed any more."""
    with_state(cluster, name, lambda folder: renew_if_holder(folder, run_id))


def read_state(cluster: Cluster, name: str) -> dict[str, bytes]:
    """The records by path, none where there is no state home. Raises ClusterError, StateFileError."""
    return unpack(cluster.get("ConfigMap", name))


@contextlib.contextmanager
def _mirror(cluster: Cluster, name: str, writes: bool) -> Iterator[str]:
    known = cluster.get("ConfigMap", name)
    before = unpack(known)
    with tempfile.TemporaryDirectory(prefix="aimesh-state-") as folder:
        for path, content in before.items():
            target = Path(folder, path)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(content)
        yield folder
        after = _files(Path(folder))
    if writes and after != before:
        _write(cluster, name, known, after)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(SCRATCH)
    }


def _write(cluster: Cluster, name: str, known: dict[str, Any] | None, files: Mapping[str, bytes]) -> None:
    if known is None:
        metadata: dict[str, Any] = {"name": name, "namespace": cluster.namespace, "labels": PURPOSE}
        wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **pack(files)}
        cluster.create(wanted)
        return
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": known["metadata"], **pack(files)}
    try:
        cluster.replace(kept)
    except ClusterError as error:
        # It went away under us: the next attempt makes it anew.
        raise ConflictError(str(error), error.status) if error.status == 404 else error from None
