"""Records a run as JSON, so that a test reads what happened instead of the screen."""

from __future__ import annotations

DOCUMENTATION = """
name: run_record
type: aggregate
short_description: Writes what each task did on each host to a JSON file
version_added: 1.0.0
description:
  - Does nothing unless the environment variable E(AIMESH_RUN_RECORD) names a file.
  - The file is written when the run ends, by renaming a complete temporary file; a run that is killed leaves none.
requirements:
  - enabled in configuration with C(callbacks_enabled = aimesh.mesh.run_record)
options:
  run_record_path:
    description: File that receives the record.
    type: path
    env:
      - name: AIMESH_RUN_RECORD
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

SCHEMA = 1


class CallbackModule(CallbackBase):
    """Keeps one row per task and host: status, changed, seconds; and the recap."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "aimesh.mesh.run_record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._started = time.time()
        self._task_started: dict[str, float] = {}
        self._rows: list[dict[str, Any]] = []
        self._play = ""

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play.get_name()

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._task_started[f"{host.get_name()} {task._uuid}"] = time.monotonic()

    def _add(self, result: Any, status: str) -> None:
        task, host, data = result._task, result._host.get_name(), result._result
        started = self._task_started.pop(f"{host} {task._uuid}", None)
        self._rows.append(
            {
                "play": self._play,
                "name": task.get_name(),
                "action": str(task.action),
                "host": host,
                "status": status,
                "changed": bool(data.get("changed", False)),
                "remote_calls": data.get("remote_calls"),
                "seconds": None if started is None else round(time.monotonic() - started, 3),
            }
        )

    def v2_runner_on_ok(self, result: Any) -> None:
        self._add(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._add(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._add(result, "skipped")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._add(result, "unreachable")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        path = self.get_option("run_record_path")
        if not path:
            return
        record = {
            "schema": SCHEMA,
            "seconds": round(time.time() - self._started, 3),
            "stats": {host: stats.summarize(host) for host in sorted(stats.processed)},
            "tasks": self._rows,
        }
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        partial.write_text(json.dumps(record, indent=1))
        partial.replace(target)
