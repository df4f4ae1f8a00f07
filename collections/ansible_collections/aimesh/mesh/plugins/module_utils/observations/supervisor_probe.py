"""What supervisord says of its programs, over its unix socket."""

from __future__ import annotations

import http.client
import xmlrpc.client
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.unix_rpc import UnixTransport

from .base import Environment, ProbeError, Question


def answer_supervisor(question: Question, environment: Environment) -> dict[str, dict[str, Any]]:
    """`socket` (path) → {program: {"state", "pid", "started", "spawn_error"}}; `started` as wall-clock seconds."""
    path = str(question["socket"])
    proxy = xmlrpc.client.ServerProxy("http://supervisor", transport=UnixTransport(path, environment.timeout))
    try:
        programs: Any = proxy.supervisor.getAllProcessInfo()
    except FileNotFoundError:
        raise ProbeError(f"supervisord is not running: there is no socket {path}") from None
    except ConnectionRefusedError:
        raise ProbeError(f"supervisord is not running: nobody listens at {path}") from None
    except TimeoutError:
        raise ProbeError(f"supervisord gave no answer within {environment.timeout:g} s") from None
    except (xmlrpc.client.Error, http.client.HTTPException) as error:
        raise ProbeError(f"supervisord at {path} gave no answer: {error}") from None
    return {
        str(program["name"]): {
            "state": program["statename"],
            "pid": program["pid"],
            "started": program["start"],
            "spawn_error": program["spawnerr"],
        }
        for program in programs
    }
