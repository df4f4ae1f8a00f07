"""What a rollout starts from on one host: units, the edge's servers, and what an earlier rollout left."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils import rollout_record, slot_files, unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.haproxy_runtime import RuntimeApiError
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import answered_version, probe
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_steps import Steps

PROBE_TIMEOUT_S = 3.0
Described = dict[str, Any]


def observed(steps: Steps, haproxy_config: str) -> Described:
    """Everything as the module returns it. Raises HostChangeError when the supervisor does not answer."""
    records = unit_records.read_records(steps.state_dir)
    saved = slot_files.saved_units(steps.state_dir)
    names = list(dict.fromkeys([*steps.slots, *records, *saved]))

    def unit(name: str) -> Described:
        record = records.get(name)
        return _running(steps, name) | {"recorded": record.fingerprint if record else None, "saved": name in saved}

    with ThreadPoolExecutor(max_workers=8) as pool:
        units = dict(zip(names, pool.map(unit, names), strict=True))
    servers, answers = _servers(steps)
    return {
        "units": {name: found | {"fingerprint": found["recorded"]} for name, found in units.items()},
        "servers": servers,
        "haproxy_answers": answers,
        "haproxy_config_sha256": _sha256(haproxy_config) if haproxy_config else None,
        "rollout": rollout_record.read_open(steps.state_dir),
        "saved_slots": saved,
    }


def _running(steps: Steps, name: str) -> Described:
    """`ready` and `release` are what the unit itself says, null where nobody said how to ask it."""
    state = steps.supervisor.state(name)
    found: Described = {
        "present": state.present,
        "running": state.running,
        "state": state.text,
        "pid": state.pid,
        "restarts": state.restarts,
        "ready": None,
        "release": None,
    }
    slot = steps.slots.get(name)
    if not state.running or slot is None or slot.gate is None or slot.gate.url is None:
        return found
    release = answered_version(slot.gate.url, PROBE_TIMEOUT_S)
    return found | {"release": release, "ready": probe(slot.ready(""), PROBE_TIMEOUT_S)[0]}


def _servers(steps: Steps) -> tuple[dict[str, Described], bool]:
    if steps.edge is None:
        return {}, False
    try:
        servers = steps.edge.servers()
    except RuntimeApiError:
        return {}, False
    return {name: _without_name(asdict(server)) for name, server in servers.items()}, True


def _without_name(server: Described) -> Described:
    return {key: value for key, value in server.items() if key != "name"}


def _sha256(path: str) -> str | None:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
