"""Negative controls of the checks of monitoring and alerting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml
from control_kit import Control, answer_of, dropped, everywhere, into, listeners
from healthy import NOW, WATCHDOG, WRITTEN, Change, Unable

DOWN = "connection refused: nothing listens at 127.0.0.1:9090"
Edit = Callable[[dict[str, Any]], Any]


def part(name: str, **values: Any) -> Change:
    return answer_of("monitoring", lambda seen: seen[name].update(values))


def prometheus(edit: Edit) -> Change:
    return answer_of("monitoring", lambda seen: edit(seen["prometheus"]))


def alertmanager(edit: Edit) -> Change:
    return answer_of("monitoring", lambda seen: edit(seen["alertmanager"]))


def gone(name: str, error: str = DOWN) -> Change:
    return answer_of("monitoring", into(name, value={"error": error}))


def rows(where: str, name: str, **values: Any) -> Change:
    """Changes the rows of Prometheus whose instance or name is `name`."""

    def edit(seen: dict[str, Any]) -> None:
        for row in seen[where]:
            if name in (row.get("instance"), row.get("name")):
                row.update(values)

    return prometheus(edit)


def without(where: str, name: str) -> Change:
    def edit(seen: dict[str, Any]) -> None:
        seen[where] = [row for row in seen[where] if name not in (row.get("instance"), row.get("name"))]

    return prometheus(edit)


def more(where: str, **values: Any) -> Change:
    return prometheus(lambda seen: seen[where].append(seen[where][0] | values))


def overdue(edit: Callable[[dict[str, Any]], Any] = lambda _: None) -> Change:
    """No Watchdog comes any more, and what `edit` does to the look is why."""

    def change(seen: dict[str, Any]) -> None:
        seen["receiver"]["watchdog"] = NOW - 900
        edit(seen)

    return answer_of("monitoring", change)


def routed(edit: Callable[[dict[str, Any]], Any]) -> Change:
    """Changes a route of the running Alertmanager."""

    def change(seen: dict[str, Any]) -> None:
        document = yaml.safe_load(seen["route"])
        edit(document["route"])
        seen["route"] = yaml.safe_dump(document)

    return alertmanager(change)


def fires(**labels: str) -> Change:
    return prometheus(lambda seen: seen["alerts"].append({"alertname": "ServiceDown", "severity": "critical"} | labels))


def drill(**values: Any) -> Change:
    return answer_of("drills", lambda seen: seen["alerts"].update(values))


MISROUTED = WATCHDOG | {"state": "active", "receivers": ["hook"]}

STOPPED = "No hop Alertmanager → receiver within 40 s."

CONTROLS = [
    Control("monitoring.prometheus.ready", "down", gone("prometheus"), "nothing listens"),
    Control(
        "monitoring.prometheus.ready",
        "nothing answers at all",
        answer_of("monitoring", lambda _: Unable("no answer within 150 s")),
        "no answer within",
    ),
    Control(
        "monitoring.targets.up",
        "a pod that DNS does not name",
        without("targets", "registry@10.0.0.2"),
        "1 targets of job aimesh-registry instead of 2",
        plan="kubernetes",
    ),
    Control(
        "monitoring.targets.up",
        "a pod that does not answer",
        rows("targets", "registry@10.0.0.1", health="down", error="connection refused"),
        "registry@10.0.0.1 of job aimesh-registry is down: connection refused",
        plan="kubernetes",
    ),
    Control(
        "monitoring.targets.up",
        "a pod too many",
        more("targets", job="aimesh-registry", instance="registry@10.0.0.9"),
        "3 targets of job aimesh-registry instead of 2",
        plan="kubernetes",
    ),
    Control(
        "monitoring.listeners.private",
        "a Service that lets anybody in",
        listeners(lambda seen: seen.append({"address": "0.0.0.0", "port": 9090})),
        "prometheus listens on 0.0.0.0:9090",
        plan="kubernetes",
    ),
    Control("monitoring.prometheus.configured", "reload failed", part("prometheus", reload_ok=False), "False"),
    Control(
        "monitoring.prometheus.configured",
        "rules changed since",
        part("prometheus", loaded=WRITTEN - 60),
        "rules.yml was changed after it was loaded",
    ),
    Control("monitoring.prometheus.configured", "job missing", prometheus(dropped("jobs")), "no job aimesh-probe"),
    Control(
        "monitoring.prometheus.configured",
        "job added by hand",
        prometheus(lambda seen: seen["jobs"].append("by-hand")),
        "by-hand",
    ),
    Control(
        "monitoring.prometheus.configured",
        "asks less often",
        prometheus(into("intervals", "scrape_interval", value="1m")),
        "scrape_interval 1m instead of 15 s",
    ),
    Control(
        "monitoring.prometheus.configured",
        "interval not told",
        prometheus(lambda seen: seen["intervals"].clear()),
        "evaluation_interval None",
    ),
    Control(
        "monitoring.prometheus.retention", "shorter", prometheus(into("retention", "time", value="1w")), "time is 1w"
    ),
    Control(
        "monitoring.prometheus.retention", "no limit", prometheus(into("retention", "size", value="0B")), "size is 0B"
    ),
    Control(
        "monitoring.targets.up",
        "exporter stopped",
        rows("targets", "redis-exporter@vm1", health="down", error="dial tcp 127.0.0.1:9121: connection refused"),
        "redis-exporter@vm1 of job aimesh-redis is down: dial tcp",
    ),
    Control(
        "monitoring.targets.up",
        "never asked",
        rows("targets", "registry@a", health="unknown", scraped=0.0),
        "registry@a of job aimesh-registry is unknown",
    ),
    Control(
        "monitoring.targets.up",
        "not discovered",
        without("targets", "postgres-exporter@vm1"),
        "postgres-exporter@vm1 of job aimesh-postgresql is not among the targets",
    ),
    Control("monitoring.targets.up", "not planned", more("targets", instance="stray:1"), "stray:1"),
    Control(
        "monitoring.targets.up",
        "on another host",
        rows("targets", "node-exporter@vm1", health="down", error="x509: certificate is valid for other"),
        "x509",
        plan="two_hosts",
    ),
    Control(
        "monitoring.exporters.working",
        "cannot log in",
        prometheus(into("signs", "postgres-exporter", 0, "value", value="0")),
        "postgres-exporter@vm1 reaches PostgreSQL (pg_up: 0)",
    ),
    Control(
        "monitoring.exporters.working",
        "no sample",
        prometheus(into("signs", "redis-exporter", value=[])),
        "redis_up: no sample",
    ),
    Control(
        "monitoring.exporters.working",
        "endpoint fails",
        prometheus(into("signs", "blackbox-exporter", 0, "value", value="0")),
        "probe_success: 0",
    ),
    Control(
        "monitoring.metrics.present",
        "one service",
        prometheus(
            lambda seen: seen["series"].update(
                ai_mesh_errors_total=[r for r in seen["series"]["ai_mesh_errors_total"] if r["job"] != "aimesh-ui"]
            )
        ),
        "no ai_mesh_errors_total of ui",
    ),
    Control(
        "monitoring.metrics.present",
        "none",
        prometheus(into("series", "ai_mesh_policy_violations_total", value=[])),
        "no ai_mesh_policy_violations_total of api-gateway, registry",
    ),
    Control("monitoring.listeners.private", "for all", listeners(everywhere(9090)), "prometheus listens on 0.0.0.0"),
    Control(
        "monitoring.listeners.private",
        "on the host's address",
        listeners(lambda rows: [r | {"address": "192.0.2.10"} if r["port"] == 9093 else r for r in rows]),
        "alertmanager listens on 192.0.2.10:9093",
    ),
    Control("network.ports.open", "Prometheus", listeners(lambda r: [x for x in r if x["port"] != 9090]), "prometheus"),
    Control(
        "monitoring.exporters.closed",
        "no certificate asked",
        answer_of("tls", into("stranger", value=200)),
        "node-exporter answers a client without a certificate",
        plan="two_hosts",
    ),
    Control(
        "monitoring.exporters.closed",
        "no TLS",
        answer_of("tls", lambda _: {"member": "SSLError: wrong version", "stranger": "SSLError", "plain": 200}),
        "without TLS",
        plan="two_hosts",
    ),
    Control(
        "monitoring.exporters.closed",
        "closed to all",
        answer_of("tls", into("member", value="SSLError: unknown ca")),
        "unknown ca",
        plan="two_hosts",
    ),
    Control(
        "monitoring.exporters.closed",
        "stopped",
        answer_of("tls", lambda _: Unable("connection refused: nothing listens at 192.0.2.10:9100")),
        "nothing listens",
        plan="two_hosts",
    ),
    Control("monitoring.rules.loaded", "missing", without("rules", "ServiceDown"), "ServiceDown is not loaded"),
    Control("monitoring.rules.loaded", "one of two of a name", prometheus(dropped("rules")), "loaded"),
    Control("monitoring.rules.loaded", "by hand", more("rules", name="ByHand"), "ByHand is not of the plan"),
    Control(
        "monitoring.rules.loaded",
        "fails",
        rows("rules", "ServiceDown", health="err", error="many-to-many matching not allowed"),
        "ServiceDown is err: many-to-many",
    ),
    Control(
        "monitoring.rules.loaded", "never", rows("rules", "Watchdog", health="unknown", evaluated=0.0), "is unknown"
    ),
    Control(
        "monitoring.rules.loaded", "late", rows("rules", "Watchdog", evaluated=NOW - 360), "was evaluated 300 s ago"
    ),
    Control("monitoring.alertmanager.ready", "down", gone("alertmanager"), "nothing listens"),
    Control("monitoring.alertmanager.configured", "reload failed", part("alertmanager", reload_ok=False), "False"),
    Control(
        "monitoring.alertmanager.configured",
        "configuration changed since",
        part("alertmanager", loaded=WRITTEN - 60),
        "alertmanager.yml was changed after it was loaded",
    ),
    Control(
        "monitoring.alertmanager.configured",
        "receiver missing",
        alertmanager(dropped("receivers")),
        "no receiver aimesh-null",
    ),
    Control(
        "monitoring.alertmanager.configured",
        "receiver by hand",
        alertmanager(lambda seen: seen["receivers"].append("mine")),
        "receiver mine",
    ),
    Control(
        "monitoring.alertmanager.configured",
        "ledger route ends the way",
        routed(lambda route: route["routes"][0].update({"continue": False})),
        "route 1 (aimesh-ledger) has continue False",
    ),
    Control(
        "monitoring.alertmanager.configured",
        "matcher changed",
        routed(lambda route: route["routes"][1].update(matchers=['alertname="Watchdoge"'])),
        "Watchdoge",
    ),
    Control(
        "monitoring.alertmanager.configured",
        "route missing",
        routed(lambda route: route["routes"].pop()),
        "3 routes below it instead of 4",
    ),
    Control(
        "monitoring.alertmanager.configured",
        "repeats seldom",
        routed(lambda route: route["routes"][0]["routes"][0].update(repeat_interval="4h")),
        "repeat_interval '4h' instead of '1m'",
    ),
    Control("monitoring.alertmanager.configured", "no routes told", part("alertmanager", route=""), "routes below it"),
    Control(
        "monitoring.alertmanager.configured",
        "Prometheus sends elsewhere",
        part("prometheus", alertmanagers=["http://127.0.0.1:9999/api/v2/alerts"]),
        "sends alerts to http://127.0.0.1:9999",
    ),
    Control(
        "monitoring.alertmanager.configured",
        "Prometheus sends nowhere",
        part("prometheus", alertmanagers=[]),
        "sends alerts to nobody",
    ),
    Control(
        "monitoring.delivery.alive",
        "Prometheus down",
        overdue(into("prometheus", value={"error": DOWN})),
        "Prometheus: connection refused",
    ),
    Control(
        "monitoring.delivery.alive",
        "rule does not fire",
        overdue(into("prometheus", "alerts", value=[])),
        "Prometheus: no Watchdog is firing",
    ),
    Control(
        "monitoring.delivery.alive",
        "Alertmanager down",
        overdue(into("alertmanager", value={"error": "connection refused: nothing listens at 127.0.0.1:9093"})),
        "Alertmanager: connection refused",
    ),
    Control(
        "monitoring.delivery.alive",
        "not sent to Alertmanager",
        overdue(into("alertmanager", "alerts", value=[])),
        "Alertmanager: has no Watchdog; Prometheus sends to http://127.0.0.1:9093",
    ),
    Control(
        "monitoring.delivery.alive",
        "silenced",
        overdue(into("alertmanager", "alerts", 0, "state", value="suppressed")),
        "the Watchdog is suppressed",
    ),
    Control(
        "monitoring.delivery.alive",
        "broken route",
        overdue(into("alertmanager", "alerts", value=[MISROUTED])),
        "route: Alertmanager tells hook of the Watchdog, and not aimesh-ledger",
    ),
    Control(
        "monitoring.delivery.alive",
        "receiver down",
        gone("receiver", "connection refused: nothing listens at 127.0.0.1:9096"),
        "alert receiver: connection refused",
    ),
    Control(
        "monitoring.delivery.alive",
        "wrong token",
        gone("receiver", "/alerts answered with status 401: The bearer token is missing or wrong."),
        "status 401",
    ),
    Control(
        "monitoring.delivery.alive",
        "wrong URL of the receiver",
        overdue(into("alertmanager", "failed", value=12.0)),
        "counts 12 failed requests (Watchdog: it came 900 s ago)",
    ),
    Control("monitoring.delivery.alive", "never", part("receiver", watchdog=None), "it has never come"),
    Control("monitoring.alerts.quiet", "one fires", fires(service="registry"), "ServiceDown of registry"),
    Control(
        "monitoring.alerts.quiet",
        "an error budget burns, and nothing was restored",
        fires(alertname="ErrorBudgetBurnFast", service="registry"),
        "ErrorBudgetBurnFast of registry",
    ),
    Control("monitoring.alerts.quiet", "nobody knows", gone("prometheus"), "nothing listens"),
    Control("monitoring.drill.recent", "failed", drill(verdict="fail", message=STOPPED), f"fail: {STOPPED}"),
    Control("monitoring.drill.recent", "long ago", drill(finished=NOW - 40 * 86400), "40 days ago"),
    Control("monitoring.drill.recent", "no end", drill(finished=None), "no end"),
]
