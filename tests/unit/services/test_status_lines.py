"""What an operator reads of a host's units."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.status_lines import status_lines


def test_each_unit_is_one_line_with_what_is_worth_knowing() -> None:
    running = {"state": "active (running)", "pid": 47, "uptime_s": 3700, "enabled": True, "restarts": 0}
    failed = {"state": "failed (exit-code, status 1)", "pid": 0, "uptime_s": None, "enabled": True, "restarts": 5}
    by_hand = {"state": "active (running)", "pid": 48, "uptime_s": 5, "enabled": False, "restarts": 0}
    assert status_lines({"aimesh-ui@a": running, "aimesh-redis": failed, "aimesh-policy@a": by_hand}) == [
        "aimesh-ui@a      active (running)              pid 47, up 1:01:40",
        "aimesh-redis     failed (exit-code, status 1)  restarted 5 times by its supervisor",
        "aimesh-policy@a  active (running)              pid 48, up 0:00:05, would not start after a reboot",
    ]


def test_a_process_that_supervisord_gave_up_says_why() -> None:
    fatal = {"state": "FATAL", "pid": 0, "uptime_s": None, "detail": "Exited too quickly"}
    done = {"state": "DONE", "pid": 0, "uptime_s": None, "detail": ""}
    assert status_lines({"aimesh-ui@a": fatal, "aimesh-migrate": done}) == [
        "aimesh-ui@a     FATAL  Exited too quickly",
        "aimesh-migrate  DONE",
    ]


def test_no_unit_at_all_is_said_in_words() -> None:
    assert status_lines({}) == ["nothing of the mesh runs here; a deploy brings it"]
