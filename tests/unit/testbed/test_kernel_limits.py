from __future__ import annotations

import errno

from tests.testbed.kernel_limits import why_no_boot


def test_a_machine_without_inotify_instances_is_told_what_to_do() -> None:
    told = why_no_boot(-errno.EMFILE)
    assert "no inotify instance left" in told
    assert "sysctl fs.inotify.max_user_instances=512" in told


def test_a_machine_that_has_some_left_has_another_reason() -> None:
    assert why_no_boot() == ""
    assert why_no_boot(-errno.EPERM) == ""
