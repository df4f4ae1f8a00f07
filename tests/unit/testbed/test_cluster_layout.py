"""Names and addresses of a cluster."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from tests.testbed.cluster.layout import NODE_NETWORKS, PODS, SERVICES, Layout, free_network, upstream_servers

LAYOUT = Layout("lab", IPv4Network("10.89.3.0/24"))


def test_there_are_a_control_plane_and_two_workers_named_after_the_run() -> None:
    assert [node.name for node in LAYOUT.nodes] == ["aimesh-lab-control", "aimesh-lab-worker1", "aimesh-lab-worker2"]
    assert [node.control_plane for node in LAYOUT.nodes] == [True, False, False]


def test_each_node_has_an_address_and_a_pod_network_of_its_own() -> None:
    assert len({node.address for node in LAYOUT.nodes}) == 3
    assert all(node.address in LAYOUT.network for node in LAYOUT.nodes)
    assert len({node.pods for node in LAYOUT.nodes}) == 3
    assert all(node.pods.subnet_of(PODS) for node in LAYOUT.nodes)


def test_the_workers_are_in_two_zones() -> None:
    assert len({node.zone for node in LAYOUT.workers}) == 2


def test_nodes_pods_and_services_share_no_address() -> None:
    ranges = (NODE_NETWORKS, PODS, SERVICES)
    assert not [(a, b) for a in ranges for b in ranges if a is not b and a.overlaps(b)]


def test_a_cluster_takes_a_network_that_nobody_has() -> None:
    taken = [IPv4Network("172.17.0.0/16"), IPv4Network("10.89.0.0/23")]
    assert free_network(taken) == IPv4Network("10.89.2.0/24")
    assert free_network([]) == IPv4Network("10.89.0.0/24")


def test_a_machine_without_a_free_network_is_told_so() -> None:
    with pytest.raises(ValueError, match="is in use"):
        free_network([NODE_NETWORKS])


def test_pods_ask_the_name_servers_of_the_machine_but_not_those_on_its_loopback() -> None:
    text = "# made by hand\nsearch example\nnameserver 127.0.0.53\nnameserver 198.51.100.7\nnameserver fe80::1\n"
    assert upstream_servers(text) == ["198.51.100.7"]
    assert upstream_servers("nameserver 127.0.0.1\n") == []
