"""`inventories/prod` deploys as it is in the repository, with only the addresses replaced."""

from __future__ import annotations

import pytest

from tests.testbed.bed import Testbed
from tests.testbed.site import Site


@pytest.fixture(scope="module")
def prod(bed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Site:
    addresses = {"192.0.2.11": bed.start("node1"), "192.0.2.12": bed.start("node2")}
    return Site("prod", bed, tmp_path_factory.mktemp("prod"), addresses)


def test_prod_deploys_on_two_hosts_and_is_proved(prod: Site) -> None:
    outcome = prod.run("site.yml")
    assert outcome.code == 0, outcome.output[-6000:]


def test_prod_is_idempotent(prod: Site) -> None:
    outcome = prod.deploy()
    assert outcome.code == 0, outcome.output[-4000:]
    assert outcome.changed == []


def test_each_host_has_its_own_parts_only(prod: Site) -> None:
    node1, node2 = prod.vms
    assert node1.run("ls /usr/bin/redis-server /usr/lib/postgresql 2>/dev/null", check=False) == ""
    assert node2.run("ls /usr/sbin/haproxy /opt/aimesh 2>/dev/null", check=False) == ""


def test_the_database_takes_nobody_but_the_app_hosts(prod: Site, bed: Testbed) -> None:
    stranger = bed.start("stranger")
    address = prod.vms[1].address
    told = stranger.run(
        f"python3 -I -c \"import socket; s = socket.create_connection(('{address}', 5432), 5);"
        " import struct; body = struct.pack('!I', 196608) + b'user\\0mesh\\0database\\0mesh_registry\\0\\0';"
        " s.sendall(struct.pack('!I', len(body) + 4) + body); print(s.recv(500))\"",
        check=False,
    )
    assert "no pg_hba.conf entry" in told, told
