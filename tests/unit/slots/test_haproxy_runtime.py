from __future__ import annotations

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.haproxy_runtime import (
    RuntimeApi,
    RuntimeApiError,
    Server,
    parse_admin_states,
    parse_stat,
)

from .conftest import Host


def test_servers_carry_what_their_administrator_and_what_haproxy_says(host: Host) -> None:
    host.haproxy.set("registry/vm1-a", healthy=False, sessions=4)
    assert RuntimeApi(host.haproxy.path).servers() == {
        "registry/vm1-a": Server("registry/vm1-a", "ready", "DOWN", 4),
        "registry/vm1-b": Server("registry/vm1-b", "maint", "MAINT", 0),
    }


@pytest.mark.parametrize(("bits", "state"), [(0, "ready"), (1, "maint"), (5, "maint"), (8, "drain"), (4, "ready")])
def test_the_administrators_bits_are_read(bits: int, state: str) -> None:
    text = f"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n2 r 1 vm1-a 127.0.0.1 2 {bits}\n"
    assert parse_admin_states(text) == {"r/vm1-a": state}


def test_waiting_calls_count_as_sessions() -> None:
    assert parse_stat("# pxname,svname,qcur,scur,status,\nr,vm1-a,2,3,UP,\nr,BACKEND,0,9,UP,\n") == [
        ("r/vm1-a", "UP", 5)
    ]


def test_a_server_that_is_coming_up_takes_no_calls_for_sure() -> None:
    assert not Server("r/a", "ready", "UP 1/2", 0).takes_calls
    assert Server("r/a", "ready", "UP", 0).takes_calls and not Server("r/a", "drain", "DRAIN", 0).takes_calls


def test_refusals_and_silence_are_one_sentence(host: Host) -> None:
    api = RuntimeApi(host.haproxy.path)
    with pytest.raises(RuntimeApiError, match=r"refuses to set the server x/y to ready: No such server\.$"):
        api.set_state("x/y", "ready")
    with pytest.raises(RuntimeApiError, match="knows no server x/y, it has registry/vm1-a, registry/vm1-b"):
        api.server("x/y")
    with pytest.raises(RuntimeApiError, match="something that is no statistics: 'Unknown command'"):
        parse_stat("Unknown command\n")
    with pytest.raises(RuntimeApiError, match="cannot be asked on /nowhere"):
        RuntimeApi("/nowhere").worker()
