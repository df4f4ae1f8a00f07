"""What the other rules see with."""

from __future__ import annotations

from ..claims import Case, Labels, Series, fires, series, target, told

WATCHING = ("node", "postgresql", "redis", "blackbox")
ALERTING = ("prometheus", "alertmanager", "alert-receiver")
PROBES = ("ui", "api-gateway")


def ups(parts: tuple[str, ...], *, but: str = "", values: str = "1+0x80") -> Series:
    """All of these, and the probes, without `but`."""
    found = {series("up", target(part)): values for part in parts if part != but}
    return found | {series("up", target("probe", service=name)): values for name in PROBES if name != but}


def known(part: str) -> Labels:
    """Labels that are left of a target that Prometheus does not know."""
    labels = target("probe", service=part) if part in PROBES else target(part)
    return {name: value for name, value in labels.items() if name != "instance"}


def unknown(rule: str, severity: str, parts: tuple[str, ...], part: str, summary: str, description: str) -> Case:
    labels = known(part)
    return Case(
        rule,
        f"Prometheus does not know {part}",
        ups(parts, but=part),
        "5m",
        fires(
            told(severity, labels),
            summary.format(**labels),
            description.format(**labels),
        ),
    )


NOBODY = "Nobody has watched {service} on {host} for 2m: its alerts stay silent, whatever happens."
MAY_REACH_NOBODY = "{job} has not answered for 2m; alerts may reach nobody."

CASES = [
    Case(
        "ExporterDown",
        "the exporter of Redis does not answer",
        ups(WATCHING, but="redis") | {series("up", target("redis")): "0+0x80"},
        "5m",
        fires(
            told("warning", target("redis")),
            "aimesh-redis of vm1 does not answer",
            "Nobody has watched redis on vm1 for 2m: its alerts stay silent, whatever happens.",
        ),
        not_yet="1m",
    ),
    *(
        unknown("ExporterDown", "warning", WATCHING, part, "{job} of {host} does not answer", NOBODY)
        for part in (*WATCHING, *PROBES)
    ),
    Case("ExporterDown", "all answer", ups(WATCHING), "5m"),
    Case(
        "ExporterDown",
        "a front door does not answer: that is ProbeFailed",
        ups(WATCHING, but="ui") | {series("up", target("probe")): "0+0x80"},
        "5m",
    ),
    Case(
        "AlertingDown",
        "Alertmanager does not answer",
        ups(ALERTING, but="alertmanager") | {series("up", target("alertmanager")): "0+0x80"},
        "5m",
        fires(
            told("critical", target("alertmanager")),
            "aimesh-alertmanager does not answer",
            "aimesh-alertmanager has not answered for 2m; alerts may reach nobody.",
        ),
        not_yet="1m",
    ),
    *(
        unknown("AlertingDown", "critical", ALERTING, part, "{job} does not answer", MAY_REACH_NOBODY)
        for part in ALERTING
    ),
    Case("AlertingDown", "all answer", ups(ALERTING), "5m"),
]
