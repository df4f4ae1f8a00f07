"""The plan → what Prometheus and the blackbox exporter load. JSON is YAML, and needs no library on the controller.

Targets lie in files of their own that Prometheus reads again by itself, so its configuration says nothing of replicas,
and neither scaling nor an update changes it. Prometheus 2.42 and 2.53 take it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.durations import duration
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import (
    PROBE,
    Discovery,
    Job,
    Target,
    job_names,
    jobs,
    part_of,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.certificate import SERVER_NAME

SCRAPE_TIMEOUT_S = 10
REASK_S = 10
"""How often Prometheus asks DNS for the targets of a job that is discovered."""
REREAD_S = 60
"""Prometheus sees a changed file of targets at once; should the kernel not tell, then this late."""
PROBE_MODULE = "http_ready"
PROBE_TIMEOUT_S = 5

Document = dict[str, Any]


@dataclass(frozen=True)
class Paths:
    """Where Prometheus finds what its configuration names, as it sees files and addresses itself."""

    rules: tuple[str, ...]
    targets: str
    """Folder of the files of targets."""
    certificate: str
    """PEM of `metrics_tls`: key and certificate."""
    alertmanager: str = ""
    """`address:port`; empty: that of the plan."""
    blackbox: str = ""
    """`address:port` of the exporter that makes the probes; empty: that of the plan."""


def prometheus_config(plan: Plan, paths: Paths, scale: float = 1.0) -> str:
    """Prometheus's configuration. `scale` multiplies every duration; none gets shorter than a second."""
    monitoring = plan["monitoring"]
    scrape_s = monitoring["scrape_interval_s"]
    alertmanager = paths.alertmanager or part_of(plan, "alertmanager")["address"]
    return _text(
        {
            "global": {
                "scrape_interval": duration(scrape_s, scale),
                "scrape_timeout": duration(min(scrape_s, SCRAPE_TIMEOUT_S), scale),
                "evaluation_interval": duration(monitoring["evaluation_interval_s"], scale),
                "external_labels": {"mesh": plan["mesh"]["name"]},
            },
            "rule_files": list(paths.rules),
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            "scrape_configs": [_scrape(plan, name, paths, scale) for name in job_names(plan)],
        }
    )


def target_files(plan: Plan, folder: str) -> dict[str, str]:
    """Path → content of the files that name the targets, one for each job."""
    listed = dict.fromkeys(job.name for job in jobs(plan) if job.discovery is None)
    return {
        target_file(folder, name): _text([_group(job, target) for job in _named(plan, name) for target in job.targets])
        for name in listed
    }


def target_file(folder: str, job: str) -> str:
    return f"{folder}/{job}.json"


def blackbox_config(plan: Plan) -> str:
    """The blackbox exporter's configuration: a probe succeeds when the front door says that it is ready."""
    del plan
    http = {"valid_status_codes": [200], "follow_redirects": False, "preferred_ip_protocol": "ip4"}
    return _text({"modules": {PROBE_MODULE: {"prober": "http", "timeout": f"{PROBE_TIMEOUT_S}s", "http": http}}})


def _scrape(plan: Plan, name: str, paths: Paths, scale: float) -> Document:
    """Every job reads all files and keeps the targets of its own: one watch of the folder, not one a job, of which the
    kernel gives a user no more than 128."""
    discovery = _named(plan, name)[0].discovery
    if discovery is not None:
        return _discovered(name, discovery, scale)
    found: Document = {
        "job_name": name,
        "file_sd_configs": [
            {"files": [target_file(paths.targets, "*")], "refresh_interval": duration(REREAD_S, scale)}
        ],
        "relabel_configs": [
            {"source_labels": ["__meta_filepath"], "regex": f".*/{name}[.]json", "action": "keep"},
            *(_probed(paths.blackbox or part_of(plan, "blackbox-exporter")["address"]) if name == PROBE else ()),
        ],
    }
    if any(job.tls for job in _named(plan, name)):
        pem = paths.certificate
        found["tls_config"] = {"ca_file": pem, "cert_file": pem, "key_file": pem, "server_name": SERVER_NAME}
    if name == PROBE:
        found |= {"metrics_path": "/probe", "params": {"module": [PROBE_MODULE]}}
    return found


def _discovered(name: str, discovery: Discovery, scale: float) -> Document:
    """DNS knows addresses and no names, so these tell one target from another."""
    dns = {"names": [discovery.name], "type": "A", "port": discovery.port}
    labels = [{"target_label": label, "replacement": value} for label, value in discovery.labels.items()]
    instance = {
        "source_labels": ["__address__"],
        "regex": "(.+):[0-9]+",
        "target_label": "instance",
        "replacement": f"{discovery.service}@$1",
    }
    return {
        "job_name": name,
        "dns_sd_configs": [dns | {"refresh_interval": duration(REASK_S, scale)}],
        "relabel_configs": [instance, *labels],
    }


def _probed(exporter: str) -> list[Document]:
    """The exporter is asked about the target; the label `instance` keeps the target's URL."""
    return [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"target_label": "__address__", "replacement": exporter},
    ]


def _named(plan: Plan, name: str) -> list[Job]:
    return [job for job in jobs(plan) if job.name == name]


def _group(job: Job, target: Target) -> Document:
    scheme = {"__scheme__": "https"} if job.tls else {}
    return {"targets": [target.address], "labels": target.labels | scheme}


def _text(document: Any) -> str:
    return json.dumps(document, indent=2) + "\n"
