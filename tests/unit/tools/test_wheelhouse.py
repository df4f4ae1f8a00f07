from __future__ import annotations

import release
import wheelhouse

LOCK = """\
aiohttp==3.14.5 \\
    --hash=sha256:aa
backport==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
winonly==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:dd
"""


def test_target_lock_judges_markers_by_the_target_not_by_the_controller():
    old, new = wheelhouse.target_lock(LOCK, "cp311-x86_64"), wheelhouse.target_lock(LOCK, "cp313-x86_64")
    assert "backport==1.0" in old
    assert "backport" not in new
    assert "winonly" not in old + new


def test_target_lock_keeps_every_hash_of_an_entry():
    assert wheelhouse.target_lock(LOCK, "cp311-x86_64").count("--hash") == 3


def test_every_pin_of_the_real_lock_is_understood():
    lock = release.LOCK.read_text()
    pins = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert len(list(wheelhouse.lock_entries(lock))) == len(pins) > 10
