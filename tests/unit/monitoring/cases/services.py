"""Services: down, too few, unreachable, failing, slow; and the recordings that these read."""

from __future__ import annotations

from ..claims import Case, Series, fires, series, slot, target, told

SERVICES = ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")
ERRORS, REQUESTS = "ai_mesh_errors_total", "ai_mesh_requests_total"
BUCKETS = "ai_mesh_latency_seconds_bucket"


def up(name: str, values: str, **more: str) -> Series:
    return {series("up", slot(name, **more)): values}


def all_up(*, but: str = "", values: str = "1+0x80") -> Series:
    """One slot of each service, without the one of `but`."""
    return {name: text for service in SERVICES if service != but for name, text in up(f"{service}@a", values).items()}


def counted(metric: str, status: str, values: str, name: str = "registry@a", route: str = "/api/v1/agents") -> Series:
    service = name.partition("@")[0]
    return {series(metric, slot(name, service=service, method="GET", route=route, status=status)): values}


def traffic(ok: str, failed: str) -> Series:
    """Requests of one route: those that went well, those that failed, and the errors as the app counts them."""
    return (
        counted(REQUESTS, "200", ok)
        | counted(REQUESTS, "500", failed)
        | counted(ERRORS, "500", failed)
        | counted(ERRORS, "503", "0+0x400")
    )


def latency(**per_bucket: str) -> Series:
    """Buckets of two slots, so that their sum is what counts; `b0_5="0+1x80"` is the bucket up to 0.5."""
    found = {}
    for name in ("registry@a", "registry@b"):
        for bound, values in per_bucket.items():
            le = "+Inf" if bound == "inf" else bound[1:].replace("_", ".")
            labels = slot(name, service="registry", method="GET", route="/api/v1/agents", le=le)
            found[series(BUCKETS, labels)] = values
    return found


SUM = '{job="aimesh-registry", service="registry"}'
REGISTRY = {"job": "aimesh-registry", "service": "registry"}
TEN_PERCENT = traffic("0+5.4x120", "0+0.6x120")
"""0.4 requests a second, 120 within five minutes: enough to mean something, and less than ten times as many."""
SLOW = latency(b0_25="0+1x120", b0_5="0+1x120", b1_0="0+4x120", inf="0+4x120")
"""A quarter within half a second, all within one."""

SERVICE_DOWN = [
    Case(
        "ServiceDown",
        "no replica of the registry answers, spare included",
        all_up(but="registry") | up("registry@a", "1+0x4 0+0x40") | up("registry@b", "0+0x80", planned="no"),
        "5m",
        fires(
            told("critical", {"job": "aimesh-registry", "service": "registry"}),
            "registry is down",
            "No replica of registry in mesh acme has answered Prometheus for 2m.",
        ),
        not_yet="2m",
    ),
    *(
        Case(
            "ServiceDown",
            f"Prometheus has no target of {service}",
            all_up(but=service),
            "5m",
            fires(
                told("critical", {"job": f"aimesh-{service}", "service": service}),
                f"{service} is down",
                f"No replica of {service} in mesh acme has answered Prometheus for 2m.",
            ),
        )
        for service in SERVICES
    ),
    Case(
        "ServiceDown",
        "the target of ui went stale",
        all_up(but="ui") | up("ui@a", "1+0x8 stale"),
        "9m",
        fires(
            told("critical", {"job": "aimesh-ui", "service": "ui"}),
            "ui is down",
            "No replica of ui in mesh acme has answered Prometheus for 2m.",
        ),
    ),
    Case(
        "ServiceDown",
        "one of two replicas answers, and everything else is up",
        all_up() | up("registry@b", "0+0x80"),
        "10m",
    ),
    Case(
        "ServiceDown",
        "the spare serves while the slot is replaced",
        all_up() | up("ui@b", "1+0x80", planned="no"),
        "9m",
    ),
    Case("ServiceDown", "it was down and came back", all_up(but="ui") | up("ui@a", "0+0x8 1+0x60"), "9m"),
]

REPLICA_MISSING = [
    Case(
        "ReplicaMissing",
        "one of two planned replicas does not answer",
        up("registry@a", "1+0x80") | up("registry@b", "0+0x80"),
        "10m",
        fires(
            told("warning", {"job": "aimesh-registry", "service": "registry"}),
            "registry has fewer replicas than planned",
            "Only 1 of the planned replicas of registry in mesh acme have answered Prometheus for 5m.",
        ),
        not_yet="4m",
    ),
    Case("ReplicaMissing", "all answer", up("registry@a", "1+0x80") | up("registry@b", "1+0x80"), "10m"),
    Case("ReplicaMissing", "none answers: that is ServiceDown", up("registry@a", "0+0x80"), "10m"),
    Case(
        "ReplicaMissing",
        "the spare stands in for the slot that is replaced",
        up("registry@a", "0+0x80") | up("registry@b", "1+0x80", planned="no"),
        "10m",
    ),
    Case(
        "ReplicaMissing",
        "a spare that does not run is nobody's loss",
        up("registry@a", "1+0x80") | up("registry@b", "0+0x80", planned="no"),
        "10m",
    ),
]

PROBE_FAILED = [
    Case(
        "ProbeFailed",
        "the front door of the UI does not answer",
        {series("probe_success", target("probe")): "0+0x40"},
        "5m",
        fires(
            told("critical", target("probe")),
            "ui cannot be reached at https://192.0.2.10:3005/health/ready",
            "A call through the front door of ui has failed for 2m, whatever its replicas say of themselves.",
        ),
        not_yet="1m",
    ),
    Case("ProbeFailed", "it answers", {series("probe_success", target("probe")): "1+0x40"}, "5m"),
    Case(
        "ProbeFailed",
        "a probe of somebody else's job fails",
        {series("probe_success", target("probe", job="other")): "0+0x40"},
        "5m",
    ),
]

HIGH_ERROR_RATE = [
    Case(
        "HighErrorRate",
        "ten percent of the requests fail",
        TEN_PERCENT,
        "20m",
        fires(
            told("critical", REGISTRY),
            "registry fails 10% of its requests",
            "The error rate of registry over 5m is 10%; the limit is 5%.",
        ),
        not_yet="4m",
    ),
    Case(
        "HighErrorRate",
        "ten percent fail, and counters begin anew with each restart",
        traffic("0+5.4x60 0+5.4x60", "0+0.6x60 0+0.6x60"),
        "28m",
        fires(
            told("critical", REGISTRY),
            "registry fails 10% of its requests",
            "The error rate of registry over 5m is 10%; the limit is 5%.",
        ),
    ),
    Case("HighErrorRate", "two percent fail", traffic("0+5.88x120", "0+0.12x120"), "20m"),
    Case("HighErrorRate", "nothing fails", traffic("0+6x120", "0+0x120"), "20m"),
    Case("HighErrorRate", "nobody calls", traffic("7+0x120", "1+0x120"), "20m"),
    Case("HighErrorRate", "half of very few requests fail", traffic("0+0.15x120", "0+0.15x120"), "20m"),
    Case(
        "HighErrorRate",
        "a restart, after which nothing fails",
        traffic("1000+6x40 0+6x80", "900+0x40 0+0x80"),
        "20m",
    ),
]

HIGH_LATENCY = [
    Case(
        "HighLatencyP95",
        "three quarters take more than half a second",
        SLOW | counted(REQUESTS, "200", "0+5x120"),
        "25m",
        fires(
            told("warning", REGISTRY),
            "registry is slow",
            "One in twenty requests to registry takes longer than 966.7ms; the limit is 0.5s.",
        ),
        not_yet="9m",
    ),
    Case(
        "HighLatencyP95",
        "all are answered within a quarter of a second",
        latency(b0_25="0+4x120", b0_5="0+4x120", b1_0="0+4x120", inf="0+4x120") | counted(REQUESTS, "200", "0+5x120"),
        "25m",
    ),
    Case("HighLatencyP95", "few requests are slow", SLOW | counted(REQUESTS, "200", "0+0.3x120"), "25m"),
    Case(
        "HighLatencyP95",
        "nobody calls",
        latency(b0_5="9+0x120", inf="9+0x120") | counted(REQUESTS, "200", "9+0x120"),
        "25m",
    ),
    Case("HighLatencyP95", "there are no buckets", counted(REQUESTS, "200", "0+5x120"), "25m"),
]

P95 = "service:ai_mesh_latency_seconds:p95_rate5m"
RECORDED = [
    Case(
        P95,
        "of both slots together",
        SLOW | counted(REQUESTS, "200", "0+5x120"),
        "20m",
        values={P95 + SUM: 0.9666666666666666},
    ),
    Case(P95, "nobody calls", latency(b0_5="9+0x120", inf="9+0x120") | counted(REQUESTS, "200", "9+0x120"), "20m"),
    Case(P95, "there are no buckets", counted(REQUESTS, "200", "0+5x120"), "20m"),
]

CASES = [
    *SERVICE_DOWN,
    *REPLICA_MISSING,
    *PROBE_FAILED,
    *HIGH_ERROR_RATE,
    *HIGH_LATENCY,
    *RECORDED,
]
