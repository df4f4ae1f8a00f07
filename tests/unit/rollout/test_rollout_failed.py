"""The task file that ends a failed rollout, run by Ansible itself with the mesh's own modules taken out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

PLAYBOOKS = Path(__file__).parents[3] / "playbooks" / "tasks"
FIRST, LATER = "Gate ready_on_release failed: the first one.", "Undo failed as well."


def test_a_failed_rollout_ends_with_what_failed_first_even_when_going_back_fails_too(tmp_path: Path) -> None:
    steps = yaml.safe_load((PLAYBOOKS / "rollout_steps.yml").read_text())
    rolls = next(task for task in steps if "rescue" in task)
    rolls["block"] = [_fails(FIRST)]
    (tmp_path / "rollout_failed.yml").write_text(
        yaml.safe_dump(_without_modules(yaml.safe_load((PLAYBOOKS / "rollout_failed.yml").read_text())))
    )
    (tmp_path / "ansible.cfg").touch()
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [rolls]}
    (tmp_path / "playbook.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", "playbook.yml"],
        cwd=tmp_path,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    recorded, _, ended = done.stdout.partition("RECORDED ")[2].partition("Rollout stops here")
    assert done.returncode == 2 and f"Going back failed, too: {LATER}" in done.stdout, done.stdout + done.stderr
    assert recorded.startswith(FIRST) and FIRST in ended and LATER not in ended, done.stdout


def _without_modules(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What goes back fails, what would be recorded is shown, and everything else of ours does nothing."""
    return [_without_module(task) for task in tasks]


def _without_module(task: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in task.items() if name not in ("delegate_to", "loop", "loop_control")}
    for part in ("block", "rescue", "always"):
        if part in kept:
            kept[part] = _without_modules(kept[part])
    if "ansible.builtin.include_tasks" in kept:
        return _fails(LATER)
    state = kept.get("aimesh.mesh.state", {})
    if "message" in state:
        return {"ansible.builtin.debug": {"msg": f"RECORDED {state['message']}"}}
    if any(name.startswith("aimesh.") for name in kept):
        return {"ansible.builtin.debug": {"msg": "nothing"}}
    return kept


def _fails(message: str) -> dict[str, Any]:
    return {"ansible.builtin.fail": {"msg": message}}
