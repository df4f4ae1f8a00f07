"""What a mesh that is exactly as its plan says would answer to each question of the harness."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.durations import duration
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.receivers import LEDGER, all_receivers
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.routes import route_tree
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_groups
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import (
    Discovery,
    job_names,
    jobs,
    part_of,
    parts_on,
)
from healthy_backups import CRONTAB, crontab, healthy_backups
from vocabulary.answers import Answers
from vocabulary.check import CATALOGUE, Target
from vocabulary.mesh import Mesh
from vocabulary.outcome import OutcomeError, UnansweredError
from vocabulary.run import Run

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
RUN_ID = "20260102t030405z-0a1b2c"
STARTED, WRITTEN = 1_700_000_100.0, 1_700_000_000.0
NOW = STARTED + 3600
"""What the clock of every host shows."""
MIB = 1024**2
WATCHDOG = {"alertname": "Watchdog", "severity": "none", "service": "monitoring"}

Change = Callable[[dict[str, Any], Any], Any]
"""(question, value of the healthy answer) → value of the answer, or an `Unable`."""


class Unable(str):
    """An answer that is an error: the probe got nothing."""


def plan_of(name: str, **changes: Any) -> dict[str, Any]:
    """A fixture plan, or `two_hosts`, with some values replaced by dotted path."""
    plan = two_hosts() if name == "two_hosts" else _fixture(name)
    for path, value in changes.items():
        part = plan
        *folders, last = path.split("__")
        for folder in folders:
            part = part[folder]
        part[last] = value
    return plan


def _fixture(name: str) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((FIXTURES / f"plan_{name}.json").read_text(encoding="utf-8"))
    return plan


def two_hosts() -> dict[str, Any]:
    """The small fixture with its stores, and what watches it, on a second host."""
    plan = _fixture("small")
    first = plan["hosts"]["vm1"]
    plan["hosts"] = {
        "vm1": first | {"roles": ["edge", "app"]},
        "vm2": first | {"address": "192.0.2.11", "roles": ["data", "cache", "monitoring"]},
    }
    plan["mesh"]["state_home"]["host"] = plan["backup"]["host"] = "vm2"
    for store in ("postgresql", "redis"):
        plan[store] |= {"host": "vm2", "address": "192.0.2.11", "listen": ["127.0.0.1", "192.0.2.11"]}
    plan["postgresql"]["allow"] = ["127.0.0.1/32", "192.0.2.10/32"]
    monitoring = plan["monitoring"]
    node, *others = monitoring["parts"]
    far = node | {"bind": "192.0.2.10", "address": "192.0.2.10:9100", "tls": True}
    monitoring["host"] = "vm2"
    monitoring["parts"] = [far, *(part | {"host": "vm2"} for part in (node, *others))]
    part = next(part for part in monitoring["parts"] if part["part"] == "alert-receiver")
    part |= {"bind": "192.0.2.11", "address": "192.0.2.11:9096"}
    return plan


def judge(
    plan: dict[str, Any], change: Change | None = None, wanted: dict[str, Any] | None = None, rounds: int = 4
) -> list[dict[str, Any]]:
    """Every check of the catalogue against a mesh as `plan` says, but for what `change` makes of single answers."""
    answers = Answers()
    mesh = Mesh(wanted or plan, answers, RUN_ID, plan)
    run = Run(Path(), mesh)
    model = HealthyMesh(mesh)
    for _ in range(rounds):
        run.results, run.planned, run.waiting, answers.open = [], [], [], {}
        for check, function in CATALOGUE.values():
            for target in run.targets(check):
                try:
                    run.refuse(check)
                    function(mesh, target)
                except OutcomeError as outcome:
                    run.end(check, target, outcome)
                except UnansweredError:
                    run.pending(check, target)
                else:
                    run.end(check, target, None)
        if not answers.open:
            break
        for host, questions in answers.open.items():
            for key, question in questions.items():
                value = model.answer(host, question)
                value = change(question, value) if change else value
                answer = {"error": str(value)} if isinstance(value, Unable) else {"value": value}
                answers.given.setdefault(host, {})[key] = answer | {"seconds": 0.01}
    for waiting in run.waiting:
        run.results.append({**waiting, "check": "", "status": "error", "actual": "still asks"})
    return run.results


class HealthyMesh:
    """Answers by kind of question, computed from the plan and from nothing else."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.plan = mesh.plan
        self.units = {host: self._units_of(host) for host in self.plan["hosts"]}

    def _units_of(self, host: str) -> list[str]:
        """Those of the driver, and those of the plan: a driver that forgets one makes a mesh that is not as planned."""
        parts = [part["unit"] for part in parts_on(self.plan, host)]
        return list(dict.fromkeys([*self.mesh.units_on(host), *parts]))

    def answer(self, host: str, question: dict[str, Any]) -> Any:
        return getattr(self, f"_{question['kind']}")(host, question)

    def _pid(self, host: str, unit: str) -> int:
        return 1000 + self.units[host].index(unit)

    def _main_pid(self, host: str, name: str) -> int:
        """Of a unit by its full name; timers and what the driver does not run have none that matters."""
        unit = name.removesuffix(".service")
        return self._pid(host, unit) if unit in self.units[host] else 0

    def _records(self, host: str, _: dict[str, Any]) -> dict[str, Any]:
        units = {unit: {"fingerprint": "sha256:" + "0" * 64, "recorded_at": STARTED} for unit in self.units[host]}
        return {"applied_plan": self.plan, "units": units}

    def _rollouts(self, _: str, __: dict[str, Any]) -> dict[str, Any]:
        release = self.plan["release"]["id"]
        last = {"id": "0123456789abcdef", "verb": "update", "from": "0.9.0+00000000", "to": release, "status": "done"}
        phases = {"before": 10.0, "during": 12.0, "after": 10.0}
        row = {"first": STARTED, "last": STARTED + 1, "count": 20}
        versions = [row | {"version": version} for version in (last["from"], release)]
        proof = {
            "schema": 1, "rollout": last["id"], "release": release, "verdict": "pass", "reasons": [], "sent": 2000,
            "failed": 0, "duplicated": 0, "lost": 0, "never_sent": 0, "missed_events": 0, "reconnects": 3,
            "versions_in_order": True, "versions": dict.fromkeys(self.plan["services"], versions),
            "p50_ms": phases, "p99_ms": phases, "p99_factor": 2.0, "p99_ratio": 1.2, "failures": [],
            "by_kind": {"health": {"sent": 600, "failed": 0, "not_offered": 0, "p50_ms": phases, "p99_ms": phases}},
        }  # fmt: skip
        return {"open": None, "last": last | {"started": STARTED, "finished": STARTED + 60}, "proof": proof}

    def _service_of(self, port: int) -> str:
        parts = [*self.plan["instances"], *self.plan["endpoints"]]
        return next(str(part["service"]) for part in parts if part["port"] == port)

    def _http(self, _: str, question: dict[str, Any]) -> dict[str, Any]:
        named = [each["service"] for each in self.plan["endpoints"] if question["url"].startswith(f"{each['url']}/")]
        service = named[0] if named else self._service_of(urlsplit(question["url"]).port or 0)
        body: dict[str, Any] = {"status": "ok", "service": service, "version": self.plan["release"]["id"]}
        if not question["url"].endswith("/live"):
            body["schema"] = {"have": 4, "want": 4, "compatible_from": 1}
            body["checks"] = {name: {"ok": True, "ms": 1, "error": None} for name in ("postgresql", "redis")}
        return {"status": 200, "json": body, "body": json.dumps(body)}

    def _scenario(self, _: str, question: dict[str, Any]) -> dict[str, Any]:
        return {"steps": {step["name"]: self._step(step) for step in question["steps"]}}

    def _step(self, step: dict[str, Any]) -> dict[str, Any]:
        url, name = urlsplit(step["url"]), step["name"]
        status, body, value = 200, {}, None
        if "token" not in step and self.mesh.auth and url.path.startswith(("/api", "/graphql")):
            status = 401
        elif url.path in ("/metrics", "/graphql"):
            value = 1.0 if name.endswith("_after") else 0.0
        elif url.path == "/api/v1/agents":
            status, body = 201, {"id": "a-1", "name": step["json"].get("name"), "vendor": "openai"}
        elif url.path.startswith("/api/v1/agents/"):
            body = {"id": "a-1", "vendor": "openai"}
        elif url.path == "/api/v1/evaluate":
            denied = "ignore previous instructions" in step["json"]["request"]["prompt"]
            decision = "deny" if denied else "allow"
            body = {"decision": decision, "decision_id": "d-1", "policy_version": "v1", "reasons": ["prompt-injection"]}
        elif url.path.startswith("/api/v1/decisions/"):
            body = {"decision": "deny", "decision_id": "d-1", "policy_version": "v1", "prompt_sha256": "00"}
        elif url.path == "/api/v1/metrics":
            status, body = 202, {"accepted": len(step["json"]), "rejected": 0}
        elif url.path == "/api/v1/metrics/aggregate":
            body = {"count": 2, "sum": 42.0}
        elif url.path == "/api/v1/verify-records":
            body = {"total": 0, "runs": []}
        answer: dict[str, Any] = {"status": status, "json": body, "body": json.dumps(body)}
        return answer if value is None else answer | {"value": value}

    def _units(self, host: str, question: dict[str, Any]) -> dict[str, dict[str, str]]:
        return {
            name: {
                "LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled",
                "NRestarts": "0", "MainPID": str(self._main_pid(host, name)), "Result": "success",
                "ExecMainStartTimestampMonotonic": "12345",
            }
            for name in question["units"]
        }  # fmt: skip

    def _supervisor(self, host: str, _: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return {
            unit: {"state": "RUNNING", "pid": self._pid(host, unit), "started": STARTED, "spawn_error": ""}
            for unit in self.units[host]
        }

    def _processes(self, host: str, _: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return {
            str(self._pid(host, unit)): {
                "ppid": 1, "comm": unit[:15], "user": 990, "state": "S", "started": STARTED,
                "age": 3600.0, "unit": f"{unit}.service",
            }
            for unit in self.units[host]
        }  # fmt: skip

    def _containers(self, host: str, _: dict[str, Any]) -> dict[str, dict[str, Any]]:
        rows = {}
        images = {image.reference: image.id for image in self.mesh.state_of(host).images}
        for unit in self.mesh.units_on(host):
            planned = self.mesh.container_vars(Target(host, unit=unit))
            pid, memory = self._pid(host, unit), planned["memory_mb"] * MIB
            process = {"pid": pid, "uid": 10001, "capabilities": "0", "no_new_privileges": True, "seccomp": True}
            rows[unit] = {
                "id": "0" * 64, "image": planned["image"], "image_id": images[planned["image"]], "labels": {},
                "state": "running", "exit_code": 0, "oom_killed": False, "error": "", "pid": pid, "started": STARTED,
                "restarts": 0, "restart_policy": "unless-stopped", "health": "healthy", "health_test": ["CMD", "x"],
                "user": "10001:10001", "privileged": False, "capabilities_added": [], "capabilities_dropped": ["ALL"],
                "security_options": ["no-new-privileges:true"], "devices": [], "host_namespaces": [],
                "read_only": True, "tmpfs": ["/tmp"],
                "mounts": [
                    {"type": "bind", "source": each["source"], "target": each["target"], "rw": each["writable"]}
                    for each in planned["mounts"]
                ],
                "memory": memory, "memory_and_swap": memory, "cpus": float(planned["cpus"] or 0),
                "pids": planned["pids"], "log_driver": "json-file",
                "log_options": {"max-size": "10m", "max-file": "5"},
                "networks": {f"aimesh-{name}": planned["address"] for name in planned["networks"]},
                "published": [{"address": at, "port": port, "inside": port} for at, port in planned["ports"]],
                "live": {
                    "processes": [process], "root_writable": False, "memory": memory, "pids": planned["pids"],
                },
            }  # fmt: skip
        return rows

    def _pods(self, host: str, _: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Of a mesh in a cluster: a pod for each instance, for each store, and for each part that watches."""
        names = {each["id"]: each["service"] for each in self.plan["instances"]}
        names |= {unit: unit for unit in self.units[host]}
        return {name: self._pod(host, name, subject) for name, subject in names.items()}

    def _pod(self, host: str, name: str, subject: str) -> dict[str, Any]:
        planned = self.mesh.container_vars(Target(host, subject))
        memory = planned["memory_mb"] * MIB
        process = {"pid": 1, "uid": 10001, "capabilities": "0", "no_new_privileges": True, "seccomp": True}
        return {
            "pod": f"{name}-x", "container": subject, "uid": "u", "running": True, "state": "running", "ready": True,
            "phase": "Running", "started": "2026-01-01T00:00:00Z", "restarts": 0, "ended": "",
            "restart_policy": "Always", "image": planned["image"], "privileged": False,
            "image_id": self.mesh.image_ids(host)[planned["image"]],
            "capabilities_added": [], "capabilities_dropped": ["ALL"], "security_options": [], "devices": [],
            "host_namespaces": [], "read_only": True, "mounts": [], "networks": {}, "published": [], "memory": memory,
            "memory_and_swap": memory, "cpus": float(planned["cpus"] or 0), "pids": 0, "health": "healthy",
            "health_test": ["liveness", "readiness"],
            "live": {"processes": [process], "root_writable": False, "memory": memory, "pids": None},
        }  # fmt: skip

    def _enforcement(self, _: str, question: dict[str, Any]) -> dict[str, str]:
        flows = self.plan["kubernetes"]["flows"]
        allowed = {f"{flow['to']}:{flow['port']}" for flow in flows if flow["from"] == question["component"]}
        return {each: "open" if each in allowed else "closed" for each in question["targets"]}

    def _listeners(self, host: str, _: dict[str, Any]) -> list[dict[str, Any]]:
        if self.mesh.in_cluster:
            # Where Services can be reached.
            names = [*self.plan["endpoints"], *self.plan["monitoring"]["parts"]]
            return [{"address": each["bind"], "port": each["port"]} for each in names]
        owners = {(each["bind"], each["port"]): each["unit"] for each in self.plan["instances"] if each["host"] == host}
        published = [each for each in self.plan["endpoints"] if each["host"] == host and each.get("published")]
        owners |= {(each["published"], each["port"]): "haproxy" for each in published}
        inner = {(each["bind"], each["port"]) for each in published}
        for each in self.plan["endpoints"]:
            if each["host"] == host and (each["bind"], each["port"]) not in inner:
                owners.setdefault((each["bind"], each["port"]), "haproxy")
        for name in ("postgresql", "redis"):
            part = self.plan[name]
            if part["host"] == host:
                owners |= {(address, part["port"]): name for address in part["listen"]}
        owners |= {(part["bind"], part["port"]): part["unit"] for part in parts_on(self.plan, host)}
        rows = [self._listener(host, address, port, owner) for (address, port), owner in owners.items()]
        return [
            *rows,
            {"address": "0.0.0.0", "port": 22, "pid": 7, "comm": "sshd", "unit": "ssh.service", "lineage": [7, 1]},
        ]

    def _listener(self, host: str, address: str, port: int, owner: str) -> dict[str, Any]:
        unit = next(unit for unit in sorted(self.units[host], key=len) if owner in unit)
        pid = self._pid(host, unit)
        row = {"address": address, "port": port, "pid": pid, "comm": owner[:15]}
        return row | {"unit": f"{unit}.service", "lineage": [pid, 1]}

    def _files(self, host: str, question: dict[str, Any]) -> dict[str, Any]:
        state = self.mesh.state_of(host)
        wanted = {each.path: ("directory", each) for each in state.directories}
        wanted |= {each.path: ("file", each) for each in (*state.package_files, *state.files)}
        seen = {}
        for path in question.get("paths", []):
            kind, each = wanted[path]
            seen[path] = _stat(kind, each.mode, each.owner or "operator", each.group or "operator")
        for tree in question.get("trees", []):
            seen[f"{tree}/applied-plan.json"] = _stat("file", "0600", "root", "root")
            seen[f"{tree}/units"] = _stat("directory", "0700", "root", "root")
            for each in state.directories:
                if each.keep and each.path.startswith(f"{tree}/"):
                    seen[each.path] = _stat("directory", each.mode, each.owner, each.group)
                    seen[f"{each.path}/data"] = _stat("file", "0644", each.owner, each.group)
        return seen

    def _monitoring(self, _: str, question: dict[str, Any]) -> dict[str, Any]:
        return {
            "at": NOW,
            "prometheus": self._prometheus(question),
            "alertmanager": self._alertmanager(),
            "receiver": {"watchdog": NOW - 40, "active": 0},
        }

    def _prometheus(self, question: dict[str, Any]) -> dict[str, Any]:
        plan = self.plan["monitoring"]
        targets = [(job, target) for job in jobs(self.plan) for target in job.targets]
        rules = [(group, rule) for group in rule_groups(self.plan)["groups"] for rule in group["rules"]]
        times = {name: duration(plan[f"{name}_s"]) for name in ("scrape_interval", "evaluation_interval")}
        by_job = [{"job": name, "instance": None, "value": "2"} for name in job_names(self.plan)]
        signs = {
            name: [
                {"job": job.name, "instance": target.labels["instance"], "value": "1"}
                for job, target in targets
                if f'job="{job.name}"' in query
            ]
            for name, query in question["signs"].items()
        }
        return {
            # A minute before the rest: then the first Watchdog was waited for.
            "rules_read": NOW - 60,
            "started": STARTED,
            "reload_ok": True,
            "loaded": STARTED,
            "retention": {"time": f"{plan['retention_days']}d", "size": f"{plan['retention_mb']}MB"},
            "intervals": times,
            "jobs": job_names(self.plan),
            "targets": [
                *(_target(job.name, target.labels) for job, target in targets),
                *(found for job in jobs(self.plan) if job.discovery for found in _discovered(job.name, job.discovery)),
            ],
            "rules": [
                {
                    "name": rule.get("alert") or rule["record"], "type": "alerting" if "alert" in rule else "recording",
                    "health": "ok", "error": "", "evaluated": NOW - 67, "interval": plan["evaluation_interval_s"],
                }
                for _, rule in rules
            ],
            "alerts": [WATCHDOG],
            "alertmanagers": [f"http://{part_of(self.plan, 'alertmanager')['address']}/api/v2/alerts"],
            "series": dict.fromkeys(question["queries"], by_job),
            "signs": signs,
        }  # fmt: skip

    def _alertmanager(self) -> dict[str, Any]:
        alerting = self.plan["monitoring"]["alerting"]
        return {
            "started": STARTED,
            "reload_ok": True,
            "loaded": STARTED,
            "failed": 0.0,
            "receivers": [each["name"] for each in all_receivers(self.plan, "")],
            "route": yaml.safe_dump({"route": _as_alertmanager_writes(route_tree(alerting))}, sort_keys=False),
            "alerts": [WATCHDOG | {"state": "active", "receivers": [LEDGER]}],
        }

    def _tls(self, _: str, __: dict[str, Any]) -> dict[str, Any]:
        refused = "SSLError: [SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required"
        return {"member": 200, "stranger": refused, "plain": 400}

    def _backup(self, _: str, question: dict[str, Any]) -> dict[str, Any]:
        return healthy_backups(self.plan, question["verb"], NOW)

    def _escrow(self, _: str, __: dict[str, Any]) -> dict[str, Any]:
        return {"archive": True, "current": True}

    def _command(self, _: str, question: dict[str, Any]) -> dict[str, Any]:
        assert question["command"] == f"cat {CRONTAB}"
        return {"rc": 0, "stdout": crontab(self.plan), "stderr": ""}

    def _drills(self, _: str, __: dict[str, Any]) -> dict[str, Any]:
        drill = {"schema": 1, "run_id": RUN_ID, "finished": NOW - 86400, "verdict": "pass", "hops": [], "message": ""}
        return {"at": NOW, "alerts": drill, "restored": None}

    def _exposure(self, _: str, question: dict[str, Any]) -> dict[str, Any]:
        return {"searched": question["secrets"], "processes": [], "files": [], "read": 100}

    def _postgresql(self, _: str, __: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        plan = self.plan["postgresql"]
        owner = plan["owner"]
        roles = [{"rolname": "postgres", "rolsuper": True, "rolcanlogin": True, "scram": False, "has_password": False}]
        login = {"rolsuper": False, "rolcanlogin": True, "scram": True, "has_password": True}
        roles += [login | {"rolname": name} for name in (owner, *plan["logins"])]
        hba = [
            {"line_number": 1, "type": "local", "address": None, "netmask": None, "auth_method": "peer", "error": None}
        ]
        hba += [
            hba[0] | {"line_number": 2, "type": "host", "address": address, "auth_method": "scram-sha-256"}
            for address in plan["allow"]
        ]
        return {
            "version": [{"number": int(plan["version"]) * 10000 + 2, "text": f"{plan['version']}.2"}],
            "settings": [
                *_settings(plan["settings"] | {"port": str(plan["port"])}),
                _row("data_checksums", "on", "bool"),
            ],
            "hba": hba,
            "roles": roles,
            "memberships": [{"member": name, "role": owner} for name in plan["logins"]],
            "databases": [{"datname": plan["database"], "owner": owner, "encoding": "UTF8", "datcollate": "C.UTF-8"}],
        }

    def _redis(self, _: str, question: dict[str, Any]) -> dict[str, dict[str, Any]]:
        if "password" not in question:
            return {name: {"error": "NOAUTH Authentication required."} for name in question["commands"]}
        if "EVAL" in question["commands"]:
            return {name: {"error": "NOPERM User mesh has no permissions"} for name in question["commands"]}
        plan = self.plan["redis"]
        persistent = int(plan["persistence"] == "aof")
        return {
            "server": {"reply": f"# Server\r\nredis_version:{plan['version']}.1\r\n"},
            "memory": {"reply": f"maxmemory:{plan['maxmemory_mb'] * MIB}\r\nmaxmemory_policy:{plan['policy']}\r\n"},
            "persistence": {"reply": f"aof_enabled:{persistent}\r\n"},
        }


def _discovered(job: str, discovery: Discovery) -> list[dict[str, Any]]:
    """As many as the plan has, by addresses."""
    names = [f"{discovery.service}@10.0.0.{number}" for number in range(1, discovery.least + 1)]
    return [_target(job, {"instance": name, **discovery.labels}) for name in names]


def _target(job: str, labels: dict[str, str]) -> dict[str, Any]:
    """A spare does not run, so nobody answers there."""
    seen = {"job": job, "instance": labels["instance"], "planned": labels.get("planned"), "scraped": NOW - 5}
    spare = labels.get("planned") == "no"
    return seen | {"health": "down" if spare else "up", "error": "connection refused" if spare else ""}


def _as_alertmanager_writes(route: dict[str, Any]) -> dict[str, Any]:
    """Its status shows every route with `continue`, and leaves out what is empty."""
    shown = {name: value for name, value in route.items() if value not in ([], None)} | {"continue": False}
    shown["continue"] = route.get("continue", False)
    return shown | (
        {"routes": [_as_alertmanager_writes(each) for each in route["routes"]]} if "routes" in route else {}
    )


def _stat(kind: str, mode: str, owner: str, group: str) -> dict[str, Any]:
    return {"kind": kind, "mode": mode, "owner": owner, "group": group, "size": 10, "changed": WRITTEN}


def _row(name: str, setting: str, vartype: str, unit: str | None = None) -> dict[str, Any]:
    return {"name": name, "setting": setting, "unit": unit, "vartype": vartype, "pending_restart": False}


def _settings(planned: dict[str, str]) -> list[dict[str, Any]]:
    """As pg_settings has them: sizes as a number of pages of 8 kB."""
    rows = []
    for name, value in planned.items():
        if value.endswith("MB"):
            rows.append(_row(name, str(int(value[:-2]) * 128), "integer", "8kB"))
        else:
            rows.append(_row(name, value, "integer" if value.isdigit() else "string"))
    return rows
