"""A Kubernetes cluster of a run: a control plane and two workers, real but for the machines, which are containers."""

from __future__ import annotations

import datetime
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .. import cgroups, daemon
from ..bed import LABEL, Testbed
from ..command import TestbedError, docker, run
from . import addons, binaries, images, machine, node_files
from .image_names import repository
from .layout import Layout, Node, cgroup, free_network, node_names, upstream_servers

READY_S = 120
BOOT_S = 300
"""Of a node that was lost: it clears away what it ran before."""
BRIDGE = Path("/proc/sys/net/bridge")
TOOLS = ("kubectl", "helm")
"""Programs that somebody who uses the cluster wants beside its kubeconfig."""


class Cluster:
    """Named after `run_id`. Use as a context manager, or call `up` … `down`; `progress` gets a line for each step."""

    def __init__(self, run_id: str, progress: Callable[[str], None] = print) -> None:
        self.run_id = run_id
        self.bed = Testbed(run_id)
        self.kubeconfig = self.bed.folder / "kubeconfig"
        self.tools = self.bed.folder / "bin"
        self._progress = progress
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @property
    def layout(self) -> Layout:
        """Names and addresses. Raises TestbedError when there is no such cluster."""
        template = "{{(index .IPAM.Config 0).Subnet}}"
        config = docker("network", "inspect", "--format", template, self.bed.network, check=False).strip()
        if not config:
            raise TestbedError(
                f"There is no cluster {self.run_id}; `python -m tests.testbed.cluster up {self.run_id}` makes it."
            )
        return Layout(self.run_id, IPv4Network(config))

    @property
    def nodes(self) -> dict[str, Node]:
        """Name in Kubernetes → node, the control plane first."""
        return {node.name: node for node in self.layout.nodes}

    @property
    def workers(self) -> list[str]:
        return [node.name for node in self.layout.workers]

    def exists(self) -> bool:
        """Whether the run has a cluster, running or not."""
        if not daemon.answers():
            return False
        names = docker("ps", "--all", "--filter", f"label={LABEL}={self.run_id}", "--format", "{{.Names}}").split()
        return node_names(self.run_id)[0] in names

    def up(self) -> None:
        """Bring the cluster up, or start its nodes again when it is there already. Raises TestbedError."""
        self._started = time.monotonic()
        self._needs()
        if self.exists():
            self._say("the cluster is there; starting its nodes")
            began = datetime.datetime.now(datetime.UTC)
            for node in self.layout.nodes:
                machine.start(node)
            self._await_ready(since=began)
            return
        programs = binaries.ensure(progress=self._say)
        tags = self._images(programs)
        self._network()
        layout, upstream = self.layout, upstream_servers(Path("/etc/resolv.conf").read_text())
        secrets = node_files.Secrets.new()
        self._write_access(secrets.admin_kubeconfig(layout), programs)

        def boot(node: Node) -> None:
            files = node_files.files(node, layout, secrets, sandbox=tags["busybox"], upstream=upstream)
            needed = {name: programs[name] for name in node_files.programs(node)}
            machine.make(node, self.run_id, self.bed.network, files, needed)
            machine.start(node)
            machine.await_containerd(node)

        self._on_each(boot, layout.nodes)
        self._say("the nodes are up")
        self._send(tags.values(), [layout.control_plane])
        self._send([tags["busybox"]], layout.workers)
        self._say("the nodes have their images")
        self._await_api()
        self.apply(addons.objects(tags, upstream))
        self._await_ready()

    def down(self) -> None:
        """Take away all that carries the run's name; harmless when there is nothing."""
        self.bed.down()
        left = cgroups.remove(self._cgroups())
        if left:
            raise TestbedError(f"Control groups of run {self.run_id} are still in use: {', '.join(map(str, left))}.")

    def traces(self) -> list[str]:
        """What there is of the run on the machine: containers, volumes, networks, control groups, files."""
        label = f"label={LABEL}={self.run_id}"
        found = docker("ps", "--all", "--filter", label, "--format", "container {{.Names}}").splitlines()
        found += docker("volume", "ls", "--filter", label, "--format", "volume {{.Name}}").splitlines()
        found += docker("network", "ls", "--filter", label, "--format", "network {{.Name}}").splitlines()
        found += [f"control group {path}" for path in self._cgroups()]
        if self.bed.folder.exists():
            found.append(f"folder {self.bed.folder}")
        return found

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True, timeout: float = 120) -> str:
        """Standard output of `kubectl …` as administrator."""
        program = str(binaries.PROGRAMS["kubectl"].path)
        return run(program, "--kubeconfig", str(self.kubeconfig), *words, stdin=stdin, check=check, timeout=timeout)

    def get(self, *words: str) -> dict[str, Any]:
        """An object, or a list of objects, as `kubectl get … -o json` shows it."""
        shown: dict[str, Any] = json.loads(self.kubectl("get", *words, "--output=json"))
        return shown

    def apply(self, objects: Iterable[dict[str, Any]]) -> None:
        """Apply objects on the server's side."""
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", "--server-side", "--filename=-", stdin=document)

    def load_image(self, tag: str, nodes: Iterable[str] = ()) -> str:
        """Give an image of the machine's engine to the workers, or to `nodes`. Returns its name by digest.

        A pod can name it by tag or by that digest, with any pull policy but `Always`.
        """
        repository(tag)  # refuses a name without a tag before anything is saved
        chosen = [self.nodes[name] for name in nodes] or list(self.layout.workers)
        self._send([tag], chosen)
        return f"{repository(tag)}@{machine.digest(chosen[0], tag)}"

    def shell(self, name: str, command: str, *, check: bool = True, timeout: float = 120) -> str:
        """Standard output of a shell command run as root on a node."""
        return machine.shell(self.nodes[name], command, check=check, timeout=timeout)

    def kill_node(self, name: str) -> None:
        """The node loses its power; its disks stay."""
        machine.kill(self.nodes[name])

    def start_node(self, name: str) -> None:
        """A killed node boots again; returns when it is ready and pods can be placed on it."""
        node, started = self.nodes[name], datetime.datetime.now(datetime.UTC)
        machine.start(node)
        machine.await_containerd(node)
        self._await_node(name, since=started)

    def _needs(self) -> None:
        missing = daemon.missing_packages()
        if missing:
            raise TestbedError(f"The cluster needs packages: apt-get install {' '.join(missing)}")
        if not BRIDGE.exists():
            run("modprobe", "br_netfilter", check=False)
        if not BRIDGE.exists():
            raise TestbedError("The cluster needs the kernel module br_netfilter: modprobe br_netfilter")
        daemon.ensure(self.run_id)

    def _images(self, programs: dict[str, Path]) -> dict[str, str]:
        images.NODE.ensure()
        tags = {name: images.ensure_program(name, programs[name]) for name in images.POD_PROGRAMS}
        return tags | {"busybox": images.ensure_busybox()}

    def _network(self) -> None:
        """A network whose addresses this cluster chooses, so that a node keeps its own when it boots again."""
        names = docker("network", "ls", "--format", "{{.Name}}").split()
        template = "{{range .IPAM.Config}}{{.Subnet}} {{end}}"
        taken = [IPv4Network(word) for word in docker("network", "inspect", "--format", template, *names).split()
                 if ":" not in word]  # fmt: skip
        subnet = free_network(taken)
        if self.bed.network not in names:
            docker(
                "network", "create", "--label", f"{LABEL}={self.run_id}", "--subnet", str(subnet), self.bed.network
            )  # fmt: skip
        self.bed.up()

    def _write_access(self, text: str, programs: dict[str, Path]) -> None:
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(text)
        self.tools.mkdir(exist_ok=True)
        for name in TOOLS:
            (self.tools / name).unlink(missing_ok=True)
            (self.tools / name).symlink_to(programs[name].resolve())

    def _send(self, tags: Iterable[str], nodes: Iterable[Node]) -> None:
        wanted = list(tags)
        with tempfile.TemporaryDirectory(prefix="aimesh-images-") as folder:
            saved = Path(folder) / "images.tar"
            docker("save", "--output", str(saved), *wanted, timeout=300)
            self._on_each(lambda node: machine.import_images(node, saved, wanted), nodes)

    def _await_api(self) -> None:
        self._await("the API server", lambda: self.kubectl("get", "--raw", "/readyz", timeout=10) == "ok")
        self._say("the API answers")

    def _await_ready(self, since: datetime.datetime | None = None) -> None:
        for node in self.layout.nodes:
            self._await_node(node.name, since)
        self.kubectl("label", "--overwrite", "node", self.layout.control_plane.name, f"{addons.CONTROL_PLANE_LABEL}=")
        self.kubectl("label", "--overwrite", "node", *self.workers, "node-role.kubernetes.io/worker=")
        self._say("the nodes are ready")
        for namespace in (addons.SYSTEM, addons.STORAGE):
            self.kubectl(
                "wait", "deployment", "--all", f"--namespace={namespace}", "--for=condition=Available",
                f"--timeout={READY_S}s", timeout=READY_S + 10,
            )  # fmt: skip
        self._await("the metrics API", lambda: bool(self.get("nodes.metrics.k8s.io")["items"]))
        self._say("DNS, storage and metrics answer")

    def _await_node(self, name: str, since: datetime.datetime | None = None) -> None:
        """Until it has been missed for a while, a lost node counts as ready: `since` asks for what it said later."""
        seconds = BOOT_S if since else READY_S
        self._await(f"node {name}", lambda: is_ready(self.get("node", name), since), seconds)

    def _await(self, what: str, holds: Callable[[], bool], seconds: float = READY_S) -> None:
        deadline, reason = time.monotonic() + seconds, ""
        while True:
            try:
                if holds():
                    return
            except (TestbedError, ValueError) as error:
                reason = f": {error}"
            if time.monotonic() > deadline:
                words = {
                    node.name: machine.last_words(node, "kube-apiserver" if node.control_plane else "kubelet")
                    for node in self.layout.nodes
                }
                raise TestbedError(f"{what} was not ready after {seconds:.0f} s{reason}; last lines: {words}")
            time.sleep(0.5)

    def _on_each(self, act: Callable[[Node], None], nodes: Iterable[Node]) -> None:
        chosen = list(nodes)
        with ThreadPoolExecutor(len(chosen)) as pool:
            # The first error comes out here, once all have ended.
            list(pool.map(act, chosen))

    def _cgroups(self) -> list[Path]:
        return [path for name in node_names(self.run_id) for path in cgroups.of_kubelet(cgroup(name))]

    def _say(self, what: str) -> None:
        self._progress(f"{time.monotonic() - self._started:6.1f} s  {what}")


def is_ready(node: dict[str, Any], since: datetime.datetime | None = None) -> bool:
    """Whether a node said so itself (after `since`), and is no longer shunned: taints go a moment after the loss."""
    shunned = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
    if shunned & {taint["key"] for taint in node["spec"].get("taints", [])}:
        return False
    conditions = {row["type"]: row for row in node["status"].get("conditions", [])}
    ready = conditions.get("Ready")
    if ready is None or ready["status"] != "True":
        return False
    return since is None or datetime.datetime.fromisoformat(ready["lastHeartbeatTime"]) > since
