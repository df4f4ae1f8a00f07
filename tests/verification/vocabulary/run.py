"""One pass over the catalogue: what was planned, what came out, what is still asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vocabulary.answers import Answers, key_of
from vocabulary.check import CATALOGUE, Check, Target
from vocabulary.mesh import Mesh
from vocabulary.outcome import NotApplicableError, NotCheckedError, OutcomeError, SkippedError, UnansweredError


@dataclass
class Run:
    """`folder` holds `context.json` and `answers/`; `close` leaves `results.json` and `questions/` in it."""

    folder: Path
    mesh: Mesh
    planned: list[dict[str, str]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path) -> Run:
        context = json.loads((folder / "context.json").read_text(encoding="utf-8"))
        wanted = json.loads(Path(context["plan"]).read_text(encoding="utf-8"))
        answers = Answers.read(folder)
        home = wanted["mesh"]["state_home"]
        applied = applied_plan(answers, home["host"], wanted)
        mesh = Mesh(
            wanted, answers, context["run_id"], applied, frozenset(context["only"]), context.get("inventory", True)
        )
        return cls(folder, mesh)

    def targets(self, check: Check) -> list[Target]:
        """What a check is about in this mesh, noted as planned. One that cannot say so is about the mesh as a whole."""
        if not self.mesh.watches(check.area):
            return []
        try:
            targets = list(check.targets(self.mesh))
        except OutcomeError:
            targets = [Target(self.mesh.state_host)]
        self.planned += [key(check, target) for target in targets]
        return targets

    def refuse(self, check: Check) -> None:
        """Raises the outcome of a check that is not to run here."""
        if check.capability and check.capability not in self.mesh.platform.capabilities:
            raise NotApplicableError(f"the platform {self.mesh.platform.name} has no {check.capability}")
        if check.capability in self.mesh.outside:
            raise NotApplicableError(f"{check.capability} is kept by others here, who alone see into it")
        if check.writes and not self.mesh.writes:
            raise SkippedError("mesh_verify_writes is false: the harness may not write to this mesh")

    def begin(self) -> None:
        self.mesh.answers.restart_clock()

    def end(self, check: Check, target: Target, outcome: OutcomeError | None) -> None:
        bad = outcome is not None and outcome.status in ("fail", "error")
        self.results.append(
            key(check, target)
            | {
                "title": check.title_for(target),
                "check": check.id,
                "status": "pass" if outcome is None else outcome.status,
                "seconds": round(self.mesh.answers.slowest, 3),
                "expected": "" if outcome is None else one_line(outcome.expected),
                "actual": "" if outcome is None else one_line(outcome.actual),
                "hint": (outcome.hint or self.hint(check, target)) if bad and outcome is not None else "",
            }
        )

    def pending(self, check: Check, target: Target) -> None:
        self.waiting.append(key(check, target))

    def hint(self, check: Check, target: Target) -> str:
        """Where an operator looks next, in words of the platform."""
        paths = self.mesh.plan["mesh"]["paths"]
        cluster = self.mesh.plan.get("kubernetes") or {"namespace": ""}
        words = {
            "mesh": self.mesh.plan["mesh"]["name"],
            "namespace": cluster["namespace"],
            "host": target.host,
            "unit": target.unit or f"aimesh-{target.subject}@*",
            "subject": target.subject,
        }
        return self.mesh.platform.hints.get(check.hint, "").format(**words, **paths)

    def close(self) -> None:
        self.mesh.answers.write_open(self.folder)
        document = {
            "planned": self.planned,
            "results": self.results,
            "waiting": self.waiting,
            "judged_by": "applied" if self.mesh.applied is not None else "wanted",
            "release": self.mesh.plan["release"]["id"],
            "areas": sorted({check.area for check, _ in CATALOGUE.values()}),
        }
        if self.mesh.watches("rollout"):
            document["rollout"] = self._last_rollout()
        (self.folder / "results.json").write_text(json.dumps(document, sort_keys=True), encoding="utf-8")

    def _last_rollout(self) -> dict[str, Any] | None:
        """The last rollout with its proof, as far as a check has asked for it and there is one."""
        question = {"kind": "rollouts", "state": self.mesh.state_dir}
        answer = self.mesh.answers.given.get(self.mesh.state_host, {}).get(key_of(question), {})
        seen = answer.get("value") or {}
        return seen["last"] | {"proof": seen["proof"]} if seen.get("last") else None


def one_line(text: str) -> str:
    """What a service said may hold line breaks; a table has none."""
    return " ".join(text.split())


def key(check: Check, target: Target) -> dict[str, str]:
    """What a result is keyed by."""
    return {"id": check.id_for(target), "host": target.host, "instance": target.instance}


def applied_plan(answers: Answers, host: str, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The applied plan when the state home has told it and this release can read it.

    It is asked for in the first round together with everything else, by the wanted plan: nearly always the two agree.
    """
    question = {"kind": "records", "state": wanted["mesh"]["paths"]["state"]}
    try:
        plan = (answers.ask(host, question).get("value") or {}).get("applied_plan")
    except (UnansweredError, NotCheckedError):
        return None
    readable = isinstance(plan, dict) and plan.get("schema") == wanted["schema"]
    return plan if readable else None
