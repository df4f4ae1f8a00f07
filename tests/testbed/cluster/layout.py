"""Names and addresses of a cluster: pure, so that every other part can ask without asking the machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

PODS = IPv4Network("10.244.0.0/16")
SERVICES = IPv4Network("10.96.0.0/16")
API_SERVICE = IPv4Address("10.96.0.1")
DNS_SERVICE = IPv4Address("10.96.0.10")
DOMAIN = "cluster.local"
NODES = ("control", "worker1", "worker2")
"""The control plane comes first."""

NODE_NETWORKS = IPv4Network("10.89.0.0/16")
"""Each cluster takes a /24 of it for its nodes."""


def node_names(run_id: str) -> list[str]:
    """Names of a run's nodes: in Kubernetes, and of their containers."""
    return [f"aimesh-{run_id}-{name}" for name in NODES]


def cgroup(node: str) -> str:
    return f"kubelet-{node}"


@dataclass(frozen=True)
class Node:
    """A machine of the cluster. `name` is its name in Kubernetes and that of its container; `pods` its pod network."""

    name: str
    address: IPv4Address
    pods: IPv4Network
    zone: str
    control_plane: bool = False

    @property
    def cgroup(self) -> str:
        """Directory under which the kubelet keeps its pods in each hierarchy; all nodes share the machine's tree."""
        return cgroup(self.name)

    @property
    def volumes(self) -> dict[str, str]:
        """Docker volume → folder. Overlay file systems cannot lie on the container's own, and data outlives a kill."""
        return {
            f"{self.name}-{what}": f"/var/lib/{what}" for what in ("containerd", "kubelet", "etcd", "local-volumes")
        }


@dataclass(frozen=True)
class Layout:
    """A control plane and its workers on `network`, all named after the run."""

    run_id: str
    network: IPv4Network

    @property
    def nodes(self) -> tuple[Node, ...]:
        pods = list(PODS.subnets(new_prefix=24))
        return tuple(
            Node(
                name=name,
                address=self.network[10 + number],
                pods=pods[number],
                # Two zones, so that spreading over zones can be seen.
                zone=f"zone-{'ab'[number % 2]}",
                control_plane=number == 0,
            )
            for number, name in enumerate(node_names(self.run_id))
        )

    @property
    def control_plane(self) -> Node:
        return self.nodes[0]

    @property
    def workers(self) -> tuple[Node, ...]:
        return self.nodes[1:]

    @property
    def api(self) -> str:
        """URL of the API server, reachable from the machine and from every node."""
        return f"https://{self.control_plane.address}:6443"


def free_network(taken: Iterable[IPv4Network]) -> IPv4Network:
    """The first /24 for nodes that overlaps none of `taken`. Raises ValueError when all are taken."""
    used = list(taken)
    for network in NODE_NETWORKS.subnets(new_prefix=24):
        if not any(network.overlaps(other) for other in used):
            return network
    raise ValueError(f"every /24 of {NODE_NETWORKS} is in use on this machine")


def upstream_servers(resolv_conf: str) -> list[str]:
    """IPv4 name servers of the machine that a pod can ask too: those on its loopback are not."""
    words = [line.split() for line in resolv_conf.splitlines()]
    servers = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver" and ":" not in word[1]]
    return [server for server in servers if not IPv4Address(server).is_loopback]
