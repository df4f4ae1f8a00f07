"""The controller halves, run by ansible-playbook itself with a driver that renders what the test put into the plan."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import digest_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import FINGERPRINT_KEY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.file_store import FileStore
from fake_release import PYTHON, RELEASE_ID, make_release
from module_runner import COLLECTIONS, REPOSITORY

CANARY = "canary-Zb7mYx0JqP4nT9sLwK2uVdR8hGf6aEcQ1oXi"
FIXTURE = REPOSITORY / "tests" / "fixtures" / "plan_local.json"


@dataclass
class Run:
    code: int
    output: str
    results: list[dict[str, Any]]


class Site:
    """A repository of its own: the collection with the fake driver, one host, a plan in `build/local`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = root / "host"
        self.templates = root / "templates"
        self.templates.mkdir(parents=True)
        collection = "ansible_collections/aimesh/mesh"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(COLLECTIONS / collection, root / "collections" / collection, ignore=ignored)
        drivers = root / "collections" / collection / "plugins/plugin_utils/drivers"
        shutil.copy(Path(__file__).parent / "fake_driver.py", drivers / "fake.py")
        (root / "ansible.cfg").write_text(
            "[defaults]\ncollections_path = ./collections\ngathering = explicit\ninterpreter_python = auto_silent\n"
            "[ssh_connection]\npipelining = true\n"
        )
        (root / "hosts.yml").write_text(
            "mesh:\n  hosts:\n    localhost:\n      ansible_connection: local\n      mesh_name: local\n"
            f"      ansible_python_interpreter: {sys.executable}\n"
        )
        store = FileStore(self.host / "state/secrets.json")
        store.put_if_absent(FINGERPRINT_KEY, "k" * 43)
        store.put_if_absent("db_owner_password", CANARY)
        self.plan: dict[str, Any] = json.loads(FIXTURE.read_text())
        self.plan["mesh"]["platform"] = "fake"
        self.plan["mesh"]["paths"] = {
            name: str(self.host / name) for name in ("state", "config", "releases", "logs", "run")
        }
        self.plan["mesh"]["state_home"]["path"] = str(self.host / "state")
        self.plan["release"] |= {"id": RELEASE_ID, "source": str(root / "dist")}
        self.plan["secrets"] = {
            name: self.plan["secrets"][name] | {"fingerprint": store.fingerprint(name)}
            for name in ("db_owner_password", "redis_password")
        }
        self.plan["fake"] = {}

    def write_plan(self) -> None:
        path = self.root / "build/local/plan.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.plan | {"digest": digest_of(self.plan)}))

    def run(self, *tasks: dict[str, Any], verbose: bool = False) -> Run:
        """Run tasks; each result is in `results`, failures included."""
        self.write_plan()
        numbered = []
        for number, task in enumerate(tasks):
            numbered.append({"name": f"Task {number}", "register": f"result_{number}", "failed_when": False} | task)
        answers = {f"result_{number}": f"{{{{ result_{number} }}}}" for number in range(len(tasks))}
        report = {
            "name": "Report",
            "ansible.builtin.copy": {"content": "{{ answers | to_json }}", "dest": str(self.root / "results.json")},
            "vars": {"answers": answers},
        }
        play = [{"hosts": "mesh", "gather_facts": False, "tasks": [*numbered, report]}]
        (self.root / "play.yml").write_text(json.dumps(play))
        options = ["--diff", *(["-vvv"] if verbose else [])]
        done = subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-i", "hosts.yml", "play.yml", *options],
            cwd=self.root,
            capture_output=True,
            text=True,
            env={**os.environ, "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"), "HOME": str(self.root)},
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answers = json.loads((self.root / "results.json").read_text())
        return Run(done.returncode, done.stdout + done.stderr, [answers[f"result_{n}"] for n in range(len(tasks))])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


def files_task(site: Site, **options: str) -> dict[str, Any]:
    return {"aimesh.mesh.files": {"templates": str(site.templates)} | options}


def predicting(task: dict[str, Any]) -> dict[str, Any]:
    return task | {"check_mode": True}


def test_a_playbook_brings_the_plans_files_and_a_second_run_changes_nothing(site: Site) -> None:
    (site.templates / "app.env.j2").write_text("NAME={{ plan.mesh.name }}\nHOST={{ host }}\nX={{ vars.x }}\n")
    site.plan["fake"]["files"] = [
        {"path": str(site.host / "config/app.env"), "template": "app.env.j2", "vars": {"x": 1}},
        {
            "path": str(site.host / "config/password"),
            "inline": "{{ secrets.db_owner_password }}\n",
            "secrets": ["db_owner_password"],
            "mode": "0600",
        },
    ]
    task = files_task(site)
    run = site.run(predicting(task), task, task, verbose=True)
    predicted, first, second = run.results
    assert predicted["changed"]
    assert predicted["files"] == first["files"], "the prediction already made them"
    assert (first["changed"], first["remote_calls"]) == (True, 1)
    assert (second["changed"], second["remote_calls"]) == (False, 1)
    assert (site.host / "config/app.env").read_text() == "NAME=local\nHOST=localhost\nX=1\n"
    assert (site.host / "config/password").read_text() == f"{CANARY}\n"
    assert CANARY not in run.output, "a secret is on the screen of a verbose run"
    assert "+NAME=local" in run.output
    assert CANARY not in (site.host / "state/files.json").read_text()


def test_a_release_goes_over_once_and_is_one_call_afterwards(site: Site) -> None:
    make_release(site.root / "dist")
    site.plan["fake"]["release"] = {
        "id": RELEASE_ID,
        "root": str(site.host / "releases"),
        "python": PYTHON,
        "arch": "x86_64",
        "interpreter": sys.executable,
    }
    task: dict[str, Any] = {"aimesh.mesh.release": {}}
    predicted, first, second = site.run(predicting(task), task, task).results
    assert (predicted["changed"], predicted["remote_calls"]) == (True, 1)
    assert first["changed"], first
    assert (second["changed"], second["remote_calls"]) == (False, 1)
    program = site.host / "releases" / RELEASE_ID / "venv/bin/mesh"
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "mesh 42\n"


def test_a_mesh_goes_by_its_variables_and_a_wrong_name_stops_it(site: Site) -> None:
    site.plan["fake"]["files"] = [{"path": str(site.host / "config/a"), "text": "x"}]
    wrong = {"aimesh.mesh.removal": {}, "vars": {"mesh_remove_data": "other"}}
    plan_only = {"aimesh.mesh.removal": {"plan_only": True}}
    right = {"aimesh.mesh.removal": {}, "vars": {"mesh_remove_data": "local", "mesh_remove_backups": "local"}}
    keep: dict[str, Any] = {"aimesh.mesh.removal": {}}
    _, refused, planned, kept, gone, again = site.run(files_task(site), wrong, plan_only, keep, right, right).results
    assert refused["msg"] == (
        "mesh_remove_data is 'other' and this mesh is 'local'; type the name of the mesh to confirm its removal."
    )
    assert not planned["changed"]
    assert "goes: 1 file, 1 B" in planned["listing"]
    assert kept["changed"]
    assert [item["kind"] for item in kept["kept"]] == ["secrets", "state"]
    assert gone["changed"]
    assert not site.host.exists()
    assert not again["changed"]


BAD_PLANS: list[tuple[dict[str, Any], str]] = [
    ({"hosts": {"vm9": {}}}, "The plan has no host localhost, it has vm9;"),
    ({"schema": 99}, "has plan schema 99, and this release reads schema 1 only;"),
    (
        {"fake": {"files": [{"path": "/x", "inline": "{{ nothing }}"}]}},
        "cannot be rendered for localhost: 'nothing'",
    ),
    ({"fake": {"files": [{"path": "/x", "inline": "{% if %}"}]}}, "is wrong at line 1:"),
    ({"fake": {"files": [{"path": "/x", "template": "none.j2"}]}}, "needs the template none.j2; the role has no"),
    ({"fake": {"files": [{"path": "/x", "text": "", "inline": ""}]}}, "needs one of text, template and inline"),
    ({"fake": {"files": [{"path": "/x", "text": ""}] * 2}}, "renders /x more than once for localhost."),
    (
        {"fake": {"files": [{"path": "/x", "inline": "", "secrets": ["unknown"]}]}},
        "The plan has no secret unknown; it has",
    ),
    (
        {"fake": {"files": [{"path": "/x", "inline": "", "secrets": ["redis_password"]}]}},
        "The secret store has no redis_password; run the aimesh.mesh.secrets task before the plan.",
    ),
    ({"fake": {"files": [{}]}}, "The driver fake cannot render localhost from the plan: TypeError"),
    ({"fake": {"release": {"id": "1.0.0+00000000", "root": "/x", "python": "cp1", "arch": "x"}}}, "make release"),
    ({"mesh": {"platform": "mainframe"}}, "There is no driver for the platform mainframe; change mesh_platform."),
]


UNBORN = {"path": "/nowhere/redis", "inline": "{{ secrets.redis_password }}", "secrets": ["redis_password"]}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of everything that changes nothing.

    A task for each bad plan, a prediction with UNBORN, a mistyped option, no plan, and three empty slices.
    """
    site = Site(tmp_path_factory.mktemp("refusals") / "site")
    tasks: list[dict[str, Any]] = []
    unborn = {"fake": {"files": [UNBORN]}}
    for number, change in enumerate([*(change for change, _ in BAD_PLANS), unborn]):
        plan = site.plan | change | {"mesh": site.plan["mesh"] | change.get("mesh", {})}
        path = site.root / f"plan-{number}.json"
        path.write_text(json.dumps(plan))
        name = "release" if "release" in change.get("fake", {}) else "files"
        tasks.append({f"aimesh.mesh.{name}": {"plan_path": str(path)}})
    tasks[-1] = predicting(tasks[-1])
    empty: list[dict[str, Any]] = [files_task(site), {"aimesh.mesh.packages": {}}, {"aimesh.mesh.release": {}}]
    return site.run(*tasks, files_task(site, template="x"), files_task(site, build_dir="/nowhere"), *empty)


@pytest.mark.parametrize("number", range(len(BAD_PLANS)))
def test_what_cannot_be_rendered_is_one_clear_sentence(refusals: Run, number: int) -> None:
    result = refusals.results[number]
    assert BAD_PLANS[number][1] in result["msg"], result["msg"]
    assert "\n" not in result["msg"]
    assert (result["changed"], result["remote_calls"]) == (False, 0)


def test_a_mistyped_option_and_a_missing_plan_are_named(refusals: Run) -> None:
    mistyped, missing = refusals.results[-5:-3]
    assert mistyped["msg"] == "Unknown option template; this task takes build_dir, leave, plan_path, templates."
    assert missing["msg"].startswith("There is no plan at /nowhere/plan.json;")


def test_no_refusal_is_a_traceback(refusals: Run) -> None:
    assert "Traceback" not in refusals.output


def test_check_mode_predicts_files_whose_secret_is_not_generated_yet(refusals: Run) -> None:
    result = refusals.results[len(BAD_PLANS)]
    assert (result["changed"], result["files"]) == (True, {UNBORN["path"]: ["absent"]})


def test_a_host_without_such_a_slice_costs_no_remote_call(refusals: Run) -> None:
    results = refusals.results[-3:]
    assert [(each["skipped"], each["changed"], each["remote_calls"]) for each in results] == [(True, False, 0)] * 3


def test_a_run_without_the_host_that_keeps_the_lease_is_refused(site: Site) -> None:
    begin = {"aimesh.mesh.state": {"verb": "begin"}}
    assert site.run(begin).results[0]["lease"]["verb"] == "deploy"
    site.plan["mesh"]["state_home"]["host"] = "node2"
    refused = site.run(begin).results[0]
    assert refused["msg"] == (
        "node2 keeps the run lease of the mesh and is not in this run; nothing was changed. "
        "Name it in --limit too: --limit localhost,node2"
    )
    removal = site.run({"aimesh.mesh.state": {"verb": "begin", "operation": "remove"}})
    assert removal.results[0]["remote_calls"] == 0, "one host may be taken away when the other is gone"
    assert not removal.results[0].get("skipped"), "the warnings of a skipped task are not shown"
    assert "node2 keeps the run lease and is not in this run" in " ".join(removal.output.split())
