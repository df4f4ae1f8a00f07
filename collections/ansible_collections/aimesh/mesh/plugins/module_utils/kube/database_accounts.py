"""Accounts of the bundled database: after a password has changed they get it, before a pod logs in with it.

The server makes its accounts at each start. While it runs, its pod has the program for that; the kubelet brings a
changed Secret into the pod's files within about a minute, which has to be waited for.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.streams import Ended, execute

APPLIED = "aimesh.io/accounts"
"""Annotation of the Secret: the fingerprint of the passwords that the accounts have."""
CALL_S = 60.0
PAUSE_S = 3.0
Run = Callable[[list[str]], Ended]


@dataclass(frozen=True)
class Accounts:
    """`keys` of the Secret are files of the same names in `folder`; `fingerprint` names their versions."""

    secret: str
    pod: str
    container: str
    folder: str
    program: str
    keys: tuple[str, ...]
    fingerprint: str


def stale(cluster: Cluster, accounts: Accounts) -> Object | None:
    """The Secret, when its passwords are not known to be those of the accounts. Raises ClusterError."""
    secret = cluster.get("Secret", accounts.secret)
    if secret is None:
        return None
    applied = (secret["metadata"].get("annotations") or {}).get(APPLIED)
    return secret if applied != accounts.fingerprint else None


def server(cluster: Cluster, accounts: Accounts) -> str:
    """`absent`, `running`, or `waiting`: a pod in which nothing can be run, and which may have the Secret of before."""
    pod = cluster.get("Pod", accounts.pod)
    if pod is None:
        return "absent"
    states = {each["name"]: each.get("state", {}) for each in pod.get("status", {}).get("containerStatuses") or []}
    leaves = pod["metadata"].get("deletionTimestamp")
    return "running" if "running" in states.get(accounts.container, {}) and not leaves else "waiting"


def renew(accounts: Accounts, secret: Object, run: Run, timeout_s: float) -> None:
    """Wait until the pod has the Secret's passwords, and give them to the accounts. Raises ClusterError."""
    await_files(accounts, secret, run, timeout_s)
    ended = run([accounts.program])
    if ended.code:
        told = "; ".join(line.strip() for line in ended.stderr.splitlines() if line.strip())[-300:]
        raise ClusterError(
            f"{accounts.program} in {accounts.pod} ended with {ended.code}, so the database has the passwords of "
            f"before: {told.rstrip('.') or 'it gave no reason'}."
        )


def await_files(accounts: Accounts, secret: Object, run: Run, timeout_s: float) -> None:
    """Until every file is as the Secret says, by its SHA-256. Raises ClusterError."""
    wanted = [hashlib.sha256(base64.b64decode(secret["data"][key])).hexdigest() for key in accounts.keys]
    command = ["sha256sum", *(f"{accounts.folder}/{key}" for key in accounts.keys)]
    deadline = time.monotonic() + timeout_s
    while digests(run(command)) != wanted:
        if time.monotonic() >= deadline:
            raise ClusterError(
                f"The Secret {accounts.secret} has changed, and {accounts.pod} does not have it after {timeout_s:g} s; "
                "see that the kubelet of its node answers, and run again. The database has the passwords of before."
            )
        time.sleep(PAUSE_S)


def digests(ended: Ended) -> list[str]:
    """Of the files, in the order in which they were asked for."""
    return [line.split()[0] for line in ended.stdout.splitlines() if line.strip()]


def remember(cluster: Cluster, secret: Object, fingerprint: str) -> None:
    """Note in the Secret which passwords the accounts have. Raises ConflictError when somebody has changed it."""
    metadata = secret["metadata"]
    annotations = {**(metadata.get("annotations") or {}), APPLIED: fingerprint}
    cluster.replace(secret | {"metadata": {**metadata, "annotations": annotations}})


def in_pod(cluster: Cluster, accounts: Accounts) -> Run:
    """How a command is run beside the server."""

    def run(argv: Sequence[str]) -> Ended:
        return execute(cluster, accounts.pod, accounts.container, list(argv), CALL_S)

    return run
