"""Who is on which network, and what a host publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose import render
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

from tests.unit.plan.sites import TWO_COMPOSE_HOSTS

from .conftest import project, site

Services = dict[str, dict[str, Any]]


def ports(services: Services) -> dict[str, list[str]]:
    """Container → `address:port` of the host, of those that publish anything."""
    return {
        name: [f"{each['host_ip']}:{each['published']}" for each in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }


def on_network(services: Services, network: str) -> set[str]:
    return {name for name, service in services.items() if network in service["networks"]}


def test_only_the_edge_publishes_anything_and_only_the_public_endpoints(services: Services) -> None:
    assert ports(services) == {"haproxy": ["0.0.0.0:3000", "0.0.0.0:3005"]}


def test_the_mesh_s_own_network_has_no_way_out_and_everything_is_on_it(plan: Plan, services: Services) -> None:
    networks = project(plan, "vm1")["networks"]
    assert networks["mesh"]["internal"] is True
    assert networks["mesh"]["ipam"]["config"] == [
        {"subnet": "172.29.64.0/24", "gateway": "172.29.64.1", "ip_range": "172.29.64.240/28"}
    ]
    assert on_network(services, "mesh") == set(services)
    assert {network["name"] for network in networks.values()} == {"aimesh-mesh", "aimesh-edge", "aimesh-outside"}


def test_only_what_publishes_is_on_the_edge_s_network_and_nothing_leaves_without_a_reason(services: Services) -> None:
    assert on_network(services, "edge") == {"haproxy"}
    assert on_network(services, "outside") == set()


def test_federation_leaves_the_host_when_it_has_peers_and_nobody_else_does(tmp_path: Path) -> None:
    plan = site(tmp_path, "mesh_federation_peers: [{name: partner, url: 'https://mesh.partner.example:3004'}]")
    assert on_network(project(plan, "vm1")["services"], "outside") == {"federation-a", "admin"}


def test_services_that_ask_an_openid_provider_leave_the_host(tmp_path: Path) -> None:
    plan = site(tmp_path, "mesh_oidc: {issuer: 'https://login.acme.example', audience: aimesh}")
    outside = on_network(project(plan, "vm1")["services"], "outside")
    assert {"api-gateway-a", "registry-a", "ui-a"} <= outside
    assert not {"postgresql", "redis", "haproxy", "migrate"} & outside


def test_stores_that_another_host_needs_are_published_on_the_host_s_own_address(two_hosts: Plan) -> None:
    stores = project(two_hosts, "node2")["services"]
    published = {"postgresql": ["192.0.2.12:5432"], "redis": ["192.0.2.12:6379"]}
    assert ports(stores) == published | {"alert-receiver": ["192.0.2.12:9096"]}
    assert on_network(stores, "edge") == {"postgresql", "redis", "alert-receiver"}
    state = render(two_hosts, "node2")
    assert state.postgresql is not None
    assert state.postgresql.listen == ("0.0.0.0",)
    assert state.postgresql.allow == ("172.29.64.0/24", "192.0.2.11/32")


def test_services_reach_the_stores_of_another_host_by_its_address(two_hosts: Plan) -> None:
    services = project(two_hosts, "node1")["services"]
    environment = services["registry-a"]["environment"]
    assert environment["MESH_DATABASE_URL"] == "postgresql://mesh_app_a@192.0.2.12:5432/mesh_registry"
    assert environment["MESH_REDIS_URL"] == "redis://mesh@192.0.2.12:6379/0"
    assert {"migrate", "admin"} <= on_network(services, "outside")
    # Prometheus of the other host asks it, so its answers and its own calls leave by the network of published ports.
    assert "registry-a" in on_network(services, "edge")


def test_slots_behind_another_host_s_edge_are_published_to_it_and_listen_there(tmp_path: Path) -> None:
    text = TWO_COMPOSE_HOSTS.replace("mesh_app: {hosts: {node1: }}", "mesh_app: {hosts: {node2: }}")
    plan = site(tmp_path, base=text)
    services = project(plan, "node2")["services"]
    registry = services["registry-a"]
    assert ports(services)["registry-a"] == ["192.0.2.12:13001"]
    assert registry["environment"]["MESH_BIND"] == "0.0.0.0"
    assert registry["environment"]["MESH_URL_POLICY"] == "http://192.0.2.11:3003"
    assert set(registry["networks"]) == {"mesh", "edge"}
    edge = next(file for file in render(plan, "node1").files if file.template == "haproxy.cfg.j2")
    (front,) = [each for each in edge.vars["fronts"] if each["service"] == "registry"]
    assert front["bind"] == "0.0.0.0:3001"
    assert [server["address"] for server in front["servers"]] == ["192.0.2.12:13001", "192.0.2.12:13011"]


def test_a_container_has_one_way_out_at_most(tmp_path: Path, two_hosts: Plan) -> None:
    plans = [two_hosts, site(tmp_path, "mesh_oidc: {issuer: 'https://login.acme.example', audience: aimesh}")]
    for plan in plans:
        for host in plan["hosts"]:
            services = project(plan, host)["services"]
            assert not on_network(services, "edge") & on_network(services, "outside")
