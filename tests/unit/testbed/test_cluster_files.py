"""What is written onto a node is decided from the layout alone."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from ipaddress import IPv4Network

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.testbed.cluster import addons, machine
from tests.testbed.cluster.images import busybox_layer
from tests.testbed.cluster.layout import Layout
from tests.testbed.cluster.node_files import HOME, Secrets, files, flags

LAYOUT = Layout("lab", IPv4Network("10.89.3.0/24"))
CONTROL, WORKER, OTHER = LAYOUT.nodes


@pytest.fixture(scope="module")
def secrets() -> Secrets:
    return Secrets.new()


def written(secrets: Secrets, node=CONTROL) -> dict[str, str]:
    return files(node, LAYOUT, secrets, sandbox="aimesh/testbed:sandbox", upstream=["198.51.100.7"])


def certificate(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


def test_a_worker_gets_no_authority_and_no_part_of_the_control_plane(secrets: Secrets) -> None:
    only_control = set(written(secrets)) - set(written(secrets, WORKER))
    assert f"{HOME}/ca.key" in only_control
    assert "/etc/systemd/system/kube-apiserver.service" in only_control
    assert secrets.authority.pair.key not in written(secrets, WORKER).values()


def test_a_kubelet_is_known_by_its_node_and_serves_under_its_address(secrets: Secrets) -> None:
    made = certificate(written(secrets, WORKER)[f"{HOME}/kubelet.crt"])
    assert made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == f"system:node:{WORKER.name}"
    assert made.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [WORKER.address]


def test_the_front_proxy_has_an_authority_of_its_own(secrets: Secrets) -> None:
    texts = written(secrets)
    authority, proxy = certificate(texts[f"{HOME}/ca.crt"]), certificate(texts[f"{HOME}/front-proxy.crt"])
    proxy.verify_directly_issued_by(certificate(texts[f"{HOME}/front-proxy-ca.crt"]))
    with pytest.raises(ValueError, match="Issuer"):
        proxy.verify_directly_issued_by(authority)


def test_a_kubelet_keeps_its_pods_under_the_node_in_the_shared_tree(secrets: Secrets) -> None:
    texts = written(secrets, WORKER)
    config = yaml.safe_load(texts[f"{HOME}/kubelet.yaml"])
    assert config["cgroupRoot"] == f"/kubelet-{WORKER.name}"
    assert config["cgroupDriver"] == "cgroupfs"
    unit = texts["/etc/systemd/system/kubelet.service"]
    assert f"ExecStartPre=/usr/local/bin/prepare-cgroups kubelet-{WORKER.name}\n" in unit


def test_only_the_control_plane_keeps_pods_away(secrets: Secrets) -> None:
    def taints(node) -> list:
        return yaml.safe_load(written(secrets, node)[f"{HOME}/kubelet.yaml"]).get("registerWithTaints", [])

    assert [taint["effect"] for taint in taints(CONTROL)] == ["NoSchedule"]
    assert taints(WORKER) == []


def test_a_node_has_a_route_to_the_pods_of_every_other_one(secrets: Secrets) -> None:
    text = written(secrets, WORKER)["/etc/systemd/system/pod-network.service"]
    assert f"ip route replace {CONTROL.pods} via {CONTROL.address}\n" in text
    assert f"ip route replace {OTHER.pods} via {OTHER.address}\n" in text
    assert f"replace {WORKER.pods}" not in text
    assert json.loads(written(secrets, WORKER)["/etc/cni/net.d/10-pods.conflist"])["plugins"][0]["ipam"]["ranges"] == [
        [{"subnet": str(WORKER.pods)}]
    ]


def test_pods_keep_their_address_among_each_other(secrets: Secrets) -> None:
    assert "ip daddr != 10.244.0.0/16 masquerade" in written(secrets, WORKER)[f"{HOME}/pod-network.nft"]


def test_kube_proxy_uses_nftables_and_leaves_the_machines_connections_alone(secrets: Secrets) -> None:
    config = yaml.safe_load(written(secrets, WORKER)[f"{HOME}/kube-proxy.yaml"])
    assert (config["mode"], config["conntrack"]) == ("nftables", {"maxPerCore": 0, "min": 0})


def test_the_administrator_gets_a_kubeconfig_that_needs_no_other_file(secrets: Secrets) -> None:
    config = yaml.safe_load(secrets.admin_kubeconfig(LAYOUT))
    assert config["clusters"][0]["cluster"]["server"] == f"https://{CONTROL.address}:6443"
    user = config["users"][0]["user"]
    made = certificate(base64.b64decode(user["client-certificate-data"]).decode())
    made.verify_directly_issued_by(certificate(secrets.authority.certificate))
    assert config["current-context"] == "aimesh-lab"


def test_a_flag_is_written_as_the_program_reads_it() -> None:
    assert flags("/bin/x", bind_address="127.0.0.1") == "/bin/x --bind-address=127.0.0.1"


def test_units_start_at_boot_keys_are_for_root_alone_and_the_packages_etcd_stays_off(secrets: Secrets) -> None:
    with tarfile.open(fileobj=io.BytesIO(machine.archive(written(secrets)))) as tar:
        entries = {entry.name: entry for entry in tar}
    assert entries["etc/systemd/system/multi-user.target.wants/kubelet.service"].issym()
    assert entries["etc/kubernetes/ca.key"].mode == 0o600
    assert entries["etc/kubernetes/scheduler.kubeconfig"].mode == 0o600
    assert entries["usr/local/bin/prepare-cgroups"].mode == 0o755
    assert entries["etc/systemd/system/etcd.service"].linkname == "/dev/null"


def test_without_a_name_server_outside_dns_asks_nobody() -> None:
    assert "forward" in addons.corefile(["198.51.100.7"])
    assert "forward" not in addons.corefile([])


def test_system_pods_run_where_no_test_kills_them_and_pull_nothing() -> None:
    names = ("coredns", "metrics-server", "local-path-provisioner", "busybox")
    deployments = [
        row for row in addons.objects({name: f"aimesh/testbed:{name}" for name in names}, [])
        if row["kind"] == "Deployment"
    ]  # fmt: skip
    assert len(deployments) == 3
    for deployment in deployments:
        pod = deployment["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == {"node-role.kubernetes.io/control-plane": ""}
        assert [container["imagePullPolicy"] for container in pod["containers"]] == ["Never"]


def test_there_is_one_default_storage_class_and_its_volumes_wait_for_their_pod() -> None:
    (made,) = [row for row in addons.storage("provisioner", "shell") if row["kind"] == "StorageClass"]
    assert made["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    assert made["volumeBindingMode"] == "WaitForFirstConsumer"


def test_the_image_of_small_tools_has_each_of_them_as_a_link() -> None:
    with tarfile.open(fileobj=io.BytesIO(busybox_layer(b"program", ["busybox", "sh", "wget"]))) as tar:
        links = {entry.name: entry.linkname for entry in tar if entry.issym()}
        program = tar.extractfile("bin/busybox")
        assert program is not None
        assert program.read() == b"program"
    assert links == {"bin/sh": "busybox", "bin/wget": "busybox"}
