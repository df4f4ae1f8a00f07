"""Plans with a section `monitoring`, for what is made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "tests" / "fixtures"
DASHBOARDS = ROOT / "dashboards"

_PORTS = {
    "node-exporter": 9100,
    "postgres-exporter": 9187,
    "redis-exporter": 9121,
    "blackbox-exporter": 9115,
    "alert-receiver": 9096,
    "alertmanager": 9093,
    "prometheus": 9090,
}


def small_plan(grafana: dict[str, Any] | None = None) -> dict[str, Any]:
    """The plan of one small VM with monitoring; `grafana` is what the plan says of Grafana."""
    return _with_monitoring("plan_small.json", "vm1", "127.0.0.1", grafana)


def compose_plan(grafana: dict[str, Any] | None = None) -> dict[str, Any]:
    """The plan of one Compose host with monitoring."""
    return _with_monitoring("plan_compose.json", None, "172.30.0.40", grafana)


def _with_monitoring(fixture: str, host: str | None, bind: str, grafana: dict[str, Any] | None) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((FIXTURES / fixture).read_text(encoding="utf-8"))
    host = host or next(iter(plan["hosts"]))
    for name in ("grafana_admin_password", "grafana_secret_key", "metrics_tls"):
        reference = {"store": "vault", "name": name, "version": 1, "fingerprint": "00112233445566ff"}
        plan["secrets"].setdefault(name, reference)
    if "monitoring" in plan:
        plan["monitoring"]["grafana"] = grafana
        return plan
    plan["monitoring"] = {
        "host": host,
        "scrape_interval_s": 15,
        "evaluation_interval_s": 15,
        "retention_days": 15,
        "retention_mb": 4096,
        "parts": [
            {
                "part": part,
                "host": host,
                "bind": bind,
                "port": port,
                "address": f"{bind}:{port}",
                "unit": f"aimesh-{part}",
                "memory_mb": 64,
                "tls": False,
            }
            for part, port in _PORTS.items()
        ],
        "data_dirs": {part: f"/var/lib/aimesh-{part}" for part in ("prometheus", "alertmanager", "alert-receiver")},
        "alerting": {
            "runbook_url": "https://mesh.acme.example/docs/runbooks",
            "group_wait_s": 30,
            "group_interval_s": 300,
            "repeat_interval_s": 14400,
            "teams": {},
            "receivers": [],
            "routes": [],
            "deadman": None,
        },
        "thresholds": {
            "min_requests": 20,
            "postgresql_connections_ratio": 0.8,
            "postgresql_lag_s": 30,
            "redis_memory_ratio": 0.9,
            "disk_free_ratio": 0.2,
            "disk_free_critical_ratio": 0.05,
            "inodes_free_ratio": 0.1,
            "memory_free_ratio": 0.05,
            "clock_skew_s": 0.05,
            "certificate_warning_days": 21,
            "certificate_critical_days": 7,
            "backup_full_age_h": 192,
            "backup_incremental_age_h": 8,
            "drill_age_days": 35,
        },
        "grafana": grafana,
    }
    return plan
