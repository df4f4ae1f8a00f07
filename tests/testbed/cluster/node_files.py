"""Everything that is written onto a node before it boots: a map of path to text, decided from the layout alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

from .certificates import Authority, Pair, kubeconfig, signing_pair
from .layout import API_SERVICE, DNS_SERVICE, DOMAIN, PODS, SERVICES, Layout, Node

HOME = "/etc/kubernetes"
PROGRAMS = "/usr/local/bin"
SOCKET = "unix:///run/containerd/containerd.sock"

PROGRAMS_OF_WORKERS = ("kubelet", "kube-proxy")
PROGRAMS_OF_CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")

PREPARE_CGROUPS = f"{PROGRAMS}/prepare-cgroups"

# The kubelet does not make the directory that it is told to use. A cpuset takes no process until it has processors.
PREPARE_CGROUPS_TEXT = """\
#!/bin/sh
set -eu
name=$1
root=/sys/fs/cgroup
if [ -e "$root/cgroup.controllers" ]; then
  for folder in "$root" "$root/$name"; do
    mkdir -p "$folder"
    for controller in $(cat "$folder/cgroup.controllers"); do
      echo "+$controller" > "$folder/cgroup.subtree_control" || true
    done
  done
  exit 0
fi
for hierarchy in "$root"/*/; do
  # systemd names hierarchies that the machine does not have.
  [ -e "$hierarchy/cgroup.procs" ] && [ "$hierarchy" != "$root/unified/" ] || continue
  mkdir -p "$hierarchy$name"
done
for file in cpuset.cpus cpuset.mems; do
  cat "$root/cpuset/$file" > "$root/cpuset/$name/$file"
done
"""


@dataclass(frozen=True)
class Secrets:
    """Authorities and keys of one cluster."""

    authority: Authority
    front_proxy: Authority
    service_accounts: Pair

    @classmethod
    def new(cls) -> Secrets:
        return cls(Authority("kubernetes"), Authority("front-proxy"), signing_pair())

    def admin_kubeconfig(self, layout: Layout) -> str:
        """What the person who made the cluster gets."""
        pair = self.authority.issue("admin", groups=["system:masters"])
        return kubeconfig(f"aimesh-{layout.run_id}", layout.api, self.authority.certificate, pair)


def files(node: Node, layout: Layout, secrets: Secrets, *, sandbox: str, upstream: list[str]) -> dict[str, str]:
    """Path → text. `sandbox` is the image that holds a pod's network, `upstream` the name servers outside."""
    written = {
        "/etc/containerd/config.toml": containerd_config(sandbox),
        "/etc/cni/net.d/10-pods.conflist": _json(cni_config(node)),
        f"{HOME}/kubelet.yaml": _yaml(kubelet_config(node)),
        f"{HOME}/kube-proxy.yaml": _yaml(kube_proxy_config(node)),
        f"{HOME}/resolv.conf": "".join(f"nameserver {server}\n" for server in upstream),
        f"{HOME}/pod-network.nft": masquerade(node),
        PREPARE_CGROUPS: PREPARE_CGROUPS_TEXT,
        **_worker_secrets(node, layout, secrets),
        **unit("pod-network", pod_network_unit(node, layout)),
        **unit("kubelet", kubelet_unit(node)),
        **unit("kube-proxy", service(f"{PROGRAMS}/kube-proxy --config={HOME}/kube-proxy.yaml", "pod-network.service")),
    }
    if node.control_plane:
        written |= _control_plane_secrets(node, layout, secrets)
        written |= unit("kube-etcd", service(etcd_command(), "network.target"))
        written |= unit("kube-apiserver", service(api_server_command(node), "kube-etcd.service"))
        written |= unit("kube-controller-manager", service(controller_manager_command(), "kube-apiserver.service"))
        written |= unit("kube-scheduler", service(scheduler_command(), "kube-apiserver.service"))
    return written


def programs(node: Node) -> tuple[str, ...]:
    """Names of the programs that run on a node itself."""
    return PROGRAMS_OF_WORKERS + (PROGRAMS_OF_CONTROL_PLANE if node.control_plane else ())


def containerd_config(sandbox: str) -> str:
    return f"""\
version = 2

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox}"
  restrict_oom_score_adj = true
  disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
"""


def cni_config(node: Node) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": str(node.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            # Addresses of pods that a power cut ended are free again after it.
            "dataDir": "/run/cni-addresses",
        },
    }
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def kubelet_config(node: Node) -> dict[str, Any]:
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{HOME}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{HOME}/kubelet.crt",
        "tlsPrivateKeyFile": f"{HOME}/kubelet.key",
        "containerRuntimeEndpoint": SOCKET,
        "clusterDNS": [str(DNS_SERVICE)],
        "clusterDomain": DOMAIN,
        "resolvConf": f"{HOME}/resolv.conf",
        # What follows is for a node that is itself a container on a machine with control groups of version 1.
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "featureGates": {"KubeletInUserNamespace": True},
        # Images cannot be pulled again, and the disk is that of the machine, not the cluster's to care for.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # A lost node is noticed within the grace period that the controller manager has.
        "nodeStatusUpdateFrequency": "4s",
        "nodeLeaseDurationSeconds": 20,
    }
    if node.control_plane:
        config["registerWithTaints"] = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    return config


def kube_proxy_config(node: Node) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": f"{HOME}/kube-proxy.kubeconfig"},
        "clusterCIDR": str(PODS),
        "hostnameOverride": node.name,
        # The table of connections belongs to the machine, whose settings a node cannot change.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def masquerade(node: Node) -> str:
    """Pods reach the world under the node's address, and each other under their own."""
    return f"""\
table ip pod-network
delete table ip pod-network
table ip pod-network {{
  chain outwards {{
    type nat hook postrouting priority srcnat;
    ip saddr {node.pods} ip daddr != {PODS} masquerade
  }}
}}
"""


def pod_network_unit(node: Node, layout: Layout) -> str:
    steps = [
        # Without it, the answer of a pod to a neighbour that asked through a Service would miss its way back.
        "/usr/sbin/sysctl -w net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1",
        f"/usr/sbin/nft -f {HOME}/pod-network.nft",
        *(
            f"/usr/sbin/ip route replace {other.pods} via {other.address}"
            for other in layout.nodes
            if other.name != node.name
        ),
    ]
    starts = "".join(f"ExecStart={step}\n" for step in steps)
    return f"[Unit]\nDescription=Pod network\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n{starts}{INSTALLED}"


INSTALLED = "\n[Install]\nWantedBy=multi-user.target\n"


def service(command: str, needs: str, *, before_start: str = "") -> str:
    """Text of a unit that is started after the units it needs, and again until they answer."""
    prepared = f"ExecStartPre={before_start}\n" if before_start else ""
    return (
        f"[Unit]\nDescription={command.split()[0].rpartition('/')[2]}\nWants={needs}\nAfter={needs}\n"
        f"StartLimitIntervalSec=0\n\n[Service]\n{prepared}ExecStart={command}\nRestart=always\nRestartSec=1\n"
        f"LimitNOFILE=65536\n{INSTALLED}"
    )


def kubelet_unit(node: Node) -> str:
    command = flags(
        f"{PROGRAMS}/kubelet",
        config=f"{HOME}/kubelet.yaml",
        kubeconfig=f"{HOME}/kubelet.kubeconfig",
        hostname_override=node.name,
        node_ip=str(node.address),
        node_labels=f"topology.kubernetes.io/zone={node.zone}",
    )
    needs = "containerd.service pod-network.service"
    return service(command, needs, before_start=f"{PREPARE_CGROUPS} {node.cgroup}")


def etcd_command() -> str:
    # Nothing here outlives the machine, so nothing waits for its disk.
    return flags(
        "/usr/bin/etcd",
        data_dir="/var/lib/etcd/cluster",
        listen_client_urls="http://127.0.0.1:2379",
        advertise_client_urls="http://127.0.0.1:2379",
        listen_peer_urls="http://127.0.0.1:2380",
        unsafe_no_fsync="true",
    )


def api_server_command(node: Node) -> str:
    return flags(
        f"{PROGRAMS}/kube-apiserver",
        advertise_address=str(node.address),
        etcd_servers="http://127.0.0.1:2379",
        service_cluster_ip_range=str(SERVICES),
        allow_privileged="true",
        authorization_mode="Node,RBAC",
        enable_admission_plugins="NodeRestriction",
        client_ca_file=f"{HOME}/ca.crt",
        tls_cert_file=f"{HOME}/apiserver.crt",
        tls_private_key_file=f"{HOME}/apiserver.key",
        kubelet_certificate_authority=f"{HOME}/ca.crt",
        kubelet_client_certificate=f"{HOME}/apiserver-kubelet.crt",
        kubelet_client_key=f"{HOME}/apiserver-kubelet.key",
        kubelet_preferred_address_types="InternalIP",
        service_account_issuer=f"https://kubernetes.default.svc.{DOMAIN}",
        service_account_key_file=f"{HOME}/service-accounts.crt",
        service_account_signing_key_file=f"{HOME}/service-accounts.key",
        requestheader_client_ca_file=f"{HOME}/front-proxy-ca.crt",
        requestheader_allowed_names="front-proxy-client",
        requestheader_username_headers="X-Remote-User",
        requestheader_group_headers="X-Remote-Group",
        requestheader_extra_headers_prefix="X-Remote-Extra-",
        proxy_client_cert_file=f"{HOME}/front-proxy.crt",
        proxy_client_key_file=f"{HOME}/front-proxy.key",
        enable_aggregator_routing="true",
        # Pods leave a node that is lost after half a minute, not after five.
        default_not_ready_toleration_seconds="30",
        default_unreachable_toleration_seconds="30",
    )


def controller_manager_command() -> str:
    return flags(
        f"{PROGRAMS}/kube-controller-manager",
        **_own_kubeconfig("controller-manager"),
        root_ca_file=f"{HOME}/ca.crt",
        cluster_signing_cert_file=f"{HOME}/ca.crt",
        cluster_signing_key_file=f"{HOME}/ca.key",
        service_account_private_key_file=f"{HOME}/service-accounts.key",
        use_service_account_credentials="true",
        cluster_cidr=str(PODS),
        # Short, so that a test sees in seconds what takes minutes elsewhere.
        node_monitor_grace_period="20s",
        node_monitor_period="2s",
        horizontal_pod_autoscaler_sync_period="5s",
        horizontal_pod_autoscaler_downscale_stabilization="10s",
        horizontal_pod_autoscaler_cpu_initialization_period="30s",
    )


def scheduler_command() -> str:
    return flags(f"{PROGRAMS}/kube-scheduler", **_own_kubeconfig("scheduler"))


def flags(program: str, **values: str) -> str:
    """A command line: `a_b=c` becomes `--a-b=c`."""
    return " ".join([program, *(f"--{name.replace('_', '-')}={value}" for name, value in values.items())])


def _own_kubeconfig(name: str) -> dict[str, str]:
    path = f"{HOME}/{name}.kubeconfig"
    roles = ("kubeconfig", "authentication_kubeconfig", "authorization_kubeconfig")
    return dict.fromkeys(roles, path) | {"bind_address": "127.0.0.1", "leader_elect": "false"}


def unit(name: str, text: str) -> dict[str, str]:
    return {f"/etc/systemd/system/{name}.service": text}


def _worker_secrets(node: Node, layout: Layout, secrets: Secrets) -> dict[str, str]:
    authority = secrets.authority
    kubelet = authority.issue(f"system:node:{node.name}", groups=["system:nodes"], hosts=[node.name, str(node.address)])
    proxy = authority.issue("system:kube-proxy")
    return {
        f"{HOME}/ca.crt": authority.certificate,
        **_pair("kubelet", kubelet),
        f"{HOME}/kubelet.kubeconfig": kubeconfig("cluster", layout.api, authority.certificate, kubelet),
        f"{HOME}/kube-proxy.kubeconfig": kubeconfig("cluster", layout.api, authority.certificate, proxy),
    }


def _control_plane_secrets(node: Node, layout: Layout, secrets: Secrets) -> dict[str, str]:
    authority = secrets.authority
    service_name = "kubernetes.default.svc"
    hosts = [
        "kubernetes", "kubernetes.default", service_name, f"{service_name}.{DOMAIN}", "localhost", node.name,
        str(API_SERVICE), str(node.address), "127.0.0.1",
    ]  # fmt: skip
    written = {
        f"{HOME}/ca.key": authority.pair.key,
        f"{HOME}/front-proxy-ca.crt": secrets.front_proxy.certificate,
        **_pair("apiserver", authority.issue("kube-apiserver", hosts=hosts)),
        **_pair("apiserver-kubelet", authority.issue("kube-apiserver-kubelet", groups=["system:masters"])),
        **_pair("front-proxy", secrets.front_proxy.issue("front-proxy-client")),
        **_pair("service-accounts", secrets.service_accounts),
    }
    for name in ("controller-manager", "scheduler"):
        pair = authority.issue(f"system:kube-{name}")
        written[f"{HOME}/{name}.kubeconfig"] = kubeconfig("cluster", layout.api, authority.certificate, pair)
    return written


def _pair(name: str, pair: Pair) -> dict[str, str]:
    return {f"{HOME}/{name}.crt": pair.certificate, f"{HOME}/{name}.key": pair.key}


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)
