"""The load as a process of its own: started, told, ended, and what is left when it dies."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_steps import end_loads
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.background import LoadFiles, wait_for
from fake_mesh import NEW, FakeMesh
from module_runner import run_module

TOKEN = "verify-token-0cc175b9c0f1b6a831c399e269772661"
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(mesh: FakeMesh, tmp_path: Path) -> Iterator[Call]:
    common = {"state_dir": str(tmp_path), "run_id": "run-1", "traffic_id": "run-1", "baseline_s": 0.5, "after_s": 0.5}
    load = {"endpoints": mesh.endpoints, "requests_per_second": 60, "token": TOKEN}
    check = {"check"}

    def run(verb: str, **more: Any) -> dict[str, Any]:
        options = {name: value for name, value in more.items() if name in check}
        args = common | (load if verb == "start" else {}) | {k: v for k, v in more.items() if k not in check}
        return run_module("traffic", {"verb": verb, **args}, **options)

    yield run
    for folder in tmp_path.glob("rollouts/*.load"):
        pid = generator_pid(LoadFiles(str(tmp_path), folder.name.removesuffix(".load")))
        if pid:
            os.kill(pid, signal.SIGKILL)


def generator_pid(files: LoadFiles) -> int:
    return int(json.loads(files.process.read_text())["pid"]) if files.running() else 0


@pytest.fixture
def files(tmp_path: Path) -> LoadFiles:
    return LoadFiles(str(tmp_path), "run-1")


def test_a_load_is_started_told_and_ended_and_leaves_its_proof(call: Call, mesh: FakeMesh, files: LoadFiles) -> None:
    started = call("start")
    assert started["changed"], started
    assert started["baseline"]["sent"] > 10
    assert started["baseline"]["failed"] == 0
    assert files.running()
    assert call("mark", phase="during")["rc"] == 0
    mesh.update()
    assert call("mark", phase="after", release=NEW)["rc"] == 0
    ended = call("stop")
    assert ended["summary"]["verdict"] == "pass", ended
    assert json.loads(files.proof.read_text()) == ended["proof"]
    assert ended["sentence"].endswith("; pass.")
    assert not files.running()
    assert mesh.tokens == {f"Bearer {TOKEN}"}


def test_the_token_is_in_the_memory_of_the_generator_and_nowhere_else(
    call: Call, tmp_path: Path, files: LoadFiles
) -> None:
    started = call("start")
    process = Path("/proc", str(generator_pid(files)))
    seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes() + json.dumps(started).encode()
    result = call("stop")
    seen += json.dumps(result).encode()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert TOKEN.encode() not in seen + b"".join(path.read_bytes() for path in written)
    modes = {path.name: path.stat().st_mode & 0o777 for path in written}
    assert modes.pop("host.lock", 0o600) == 0o600
    assert set(modes.values()) == {0o600}


def test_the_generator_keeps_no_file_of_its_parent_open(call: Call, files: LoadFiles) -> None:
    call("start")
    opened = [str(each.readlink()) for each in Path("/proc", str(generator_pid(files)), "fd").iterdir()]
    assert not [path for path in opened if path.endswith("host.lock")]
    assert files.ledger.as_posix() in opened


def test_the_generator_leaves_no_core_file_with_its_token(call: Call, files: LoadFiles) -> None:
    call("start")
    limits = Path("/proc", str(generator_pid(files)), "limits").read_text().splitlines()
    assert next(line.split()[4:6] for line in limits if line.startswith("Max core file size")) == ["0", "0"]


def test_a_record_of_the_load_that_cannot_be_read_is_said_in_a_sentence(call: Call, files: LoadFiles) -> None:
    files.make()
    files.process.write_text("{")
    ended = call("stop")
    files.process.unlink()
    assert ended["failed"] and ended["msg"].startswith(f"The record {files.process} is not valid JSON")


def test_a_load_that_was_killed_proves_nothing_and_says_so(call: Call, files: LoadFiles) -> None:
    call("start")
    call("mark", phase="during")
    os.kill(generator_pid(files), signal.SIGKILL)
    assert wait_for(lambda: not files.running(), 5)
    call("mark", phase="after", release=NEW)
    ended = call("stop")
    assert ended["summary"]["verdict"] == "fail"
    assert "did not live to its end" in ended["sentence"]
    assert ended["proof"]["sent"] > 10


def test_a_load_without_a_word_of_its_run_ends_itself(call: Call, mesh: FakeMesh, files: LoadFiles) -> None:
    call("start", lifetime_s=1.0)
    assert wait_for(lambda: not files.running(), 15)
    assert json.loads(files.proof.read_text())["verdict"] == "fail"
    assert mesh.purged


def test_a_new_run_ends_the_load_of_one_that_died(call: Call, tmp_path: Path, files: LoadFiles) -> None:
    call("start")
    second = call("start", traffic_id="run-2")
    assert not files.running()
    assert "The load of the rollout run-1 was still running, and was ended." in str(second["warnings"])
    assert LoadFiles(str(tmp_path), "run-2").running()


def test_the_last_ledgers_are_kept_and_older_ones_go(call: Call, tmp_path: Path) -> None:
    for number in range(5):
        folder = tmp_path / "rollouts" / f"old-{number}.load"
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - 100 + number,) * 2)
    for number in range(3):
        (tmp_path / "rollouts" / f"old-{number}.traffic.json").write_text("{}")
    (tmp_path / "rollouts" / "old-1.json").write_text("{}")
    call("start")
    # A proof goes with its ledger, but where the record of its rollout is, with that.
    proofs = sorted(path.name for path in (tmp_path / "rollouts").glob("old-*.traffic.json"))
    assert proofs == ["old-1.traffic.json", "old-2.traffic.json"]
    assert sorted(path.name for path in (tmp_path / "rollouts").glob("old-*.load")) == [
        "old-2.load", "old-3.load", "old-4.load",
    ]  # fmt: skip


def test_a_mesh_that_fails_before_the_rollout_is_told_of_at_once(call: Call, mesh: FakeMesh) -> None:
    mesh.faults.refused["POST /api/v1/evaluate"] = 1000
    started = call("start")
    assert "fail before the rollout has begun" in str(started["warnings"])
    assert "evaluate at" in started["baseline"]["first_failure"]


def test_check_mode_starts_nothing(call: Call, tmp_path: Path) -> None:
    assert call("start", check=True)["changed"]
    assert list(tmp_path.iterdir()) == []


def test_a_proof_of_another_host_is_kept_once(call: Call, files: LoadFiles) -> None:
    proof = {"verdict": "pass"}
    assert call("keep", proof=proof, check=True)["changed"]
    assert not files.proof.exists()
    assert call("keep", proof=proof)["changed"]
    assert json.loads(files.proof.read_text()) == proof
    assert not call("keep", proof=proof)["changed"]


@pytest.mark.parametrize(
    ("verb", "more", "says"),
    [
        ("stop", {}, "No load was started for the rollout run-1 here; start it first."),
        ("mark", {"phase": "during"}, "No load was started for the rollout run-1 here; start it first."),
        ("start", {"requests_per_second": 0}, "requests_per_second is 0; give a number above 0 and at most 500"),
        ("start", {"endpoints": {"ui": "http://h:1"}}, "needs the endpoint of the api-gateway, and is given ui."),
        ("start", {"endpoints": {"api-gateway": "https://h"}}, "'https://h' cannot be asked; give http://<host>:<port>."),
        ("start", {"traffic_id": "../x"}, "traffic_id is '../x'; give up to 64 letters"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_sentence(call: Call, verb: str, more: dict[str, Any], says: str) -> None:
    failed = call(verb, **more)
    assert failed["failed"]
    assert says in failed["msg"]


def test_no_load_outlives_the_removal_of_the_mesh(call: Call, tmp_path: Path, files: LoadFiles) -> None:
    end_loads(str(tmp_path))
    call("start")
    end_loads(str(tmp_path))
    assert wait_for(lambda: not files.running(), 5)
    end_loads(str(tmp_path))
