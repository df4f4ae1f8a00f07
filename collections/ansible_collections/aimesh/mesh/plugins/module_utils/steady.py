"""Whether a unit that became ready stays ready: what a readiness gate cannot see, a soak does."""

from __future__ import annotations

import time

from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import Gate, probe
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotSupervisor

LOOK_EVERY_S = 0.5
SILENCE_S = 5.0
"""As long as HAProxy itself is patient: an answer that is late on a busy host is no outage, none for so long is."""


def stays_ready(supervisor: SlotSupervisor, unit: str, gate: Gate, seconds: float) -> tuple[bool, str]:
    """Watch for `seconds`: (whether something was wrong, what was seen).

    Wrong is another process than at the beginning, a restart by the supervisor, and an answer other than ready for
    longer than SILENCE_S or at the end.
    """
    begin = time.monotonic()
    first = supervisor.state(unit)
    bad_since: float | None = None
    while True:
        state = supervisor.state(unit)
        at = f"after {time.monotonic() - begin:.1f} s"
        if not state.running:
            return True, f"{state.text} {at}"
        if state.restarts:
            return True, f"restarted by its supervisor {state.restarts} times, seen {at}"
        if (state.pid, state.started) != (first.pid, first.started):
            return True, f"another process than at the beginning {at}"
        ready, seen = probe(gate)
        now = time.monotonic()
        bad_since = None if ready else bad_since if bad_since is not None else now
        if bad_since is not None and now - bad_since >= SILENCE_S:
            return True, f"{seen} for {now - bad_since:.1f} s, {at}"
        if now - begin >= seconds and ready:
            return False, f"ready for {now - begin:.0f} s without a restart"
        time.sleep(LOOK_EVERY_S)
