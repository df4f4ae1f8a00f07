from __future__ import annotations

import os
import time

import machine_watch
from machine_watch import MachineWatch


def test_a_machine_that_stands_still_is_told_with_the_time(monkeypatch, tmp_path):
    nap = time.sleep
    with MachineWatch(tmp_path) as machine:
        nap(0.3)
        monkeypatch.setattr(machine_watch.time, "sleep", lambda seconds: nap(seconds + 0.7))
        nap(1.0)
        monkeypatch.undo()
    assert 0.7 <= machine.late.seconds < 2
    assert f"woke late by at most {machine.late.seconds:.1f} s at {machine.late.at}" in str(machine)
    assert not any(thread.is_alive() for thread in machine._threads)


def test_a_disk_that_holds_a_write_up_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(machine_watch, "SYNC_EVERY_S", 0.05)
    monkeypatch.setattr(machine_watch.os, "fsync", lambda _: time.sleep(0.4))
    with MachineWatch(tmp_path) as machine:
        time.sleep(0.6)
    assert machine.synced.seconds >= 0.4


def test_time_that_others_took_is_read_from_the_kernel(monkeypatch, tmp_path):
    counts = iter([(10, 1000), (60, 1200)])
    monkeypatch.setattr(machine_watch, "processor_time", lambda: next(counts))
    with MachineWatch(tmp_path) as machine:
        pass
    assert "25 % of its processors' time" in str(machine)
    monkeypatch.undo()
    stolen, everything = machine_watch.processor_time()
    assert 0 <= stolen < everything
    assert everything / os.sysconf("SC_CLK_TCK") > 1
