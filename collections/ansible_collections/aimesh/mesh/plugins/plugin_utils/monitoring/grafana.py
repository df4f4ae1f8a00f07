"""Grafana as files: its settings, its data source, its dashboards, its credentials. Pure; the drivers include them.

Debian has no Grafana: it comes from its vendor's package repository, or as the vendor's image. Both read the same
files, which `GrafanaPlace` puts where they belong. The package brings its own user, and its own unit reads our ini.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards import (
    DATASOURCE_UID,
    HOME,
    dashboard_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import ANY_ADDRESS, Plan

PACKAGES = ("grafana",)
UNIT = "grafana-server"
"""The package's own unit; it is restarted when one of `grafana_files` changed."""
APT_SOURCE = "/etc/apt/sources.list.d/aimesh-grafana.sources"
APT_SUITE = "stable"
IMAGE_ID = "472"
"""User and group that a container of the vendor's image is to run as; `/var/lib/grafana` is theirs."""

ADMIN = "grafana_admin_password"
"""Secret: the password of `admin`, which Grafana takes over at its first start."""
SIGNING = "grafana_secret_key"
"""Secret: encrypts what Grafana keeps of its data source; the vendor's default is known to everybody."""
METRICS_TLS = "metrics_tls"
"""Secret: PEM with key and certificate, which is its own authority."""
TLS_NAME = "aimesh-metrics"


@dataclass(frozen=True)
class GrafanaPlace:
    """Where Grafana's files lie on the host, where Grafana sees them, and which group reads them."""

    folder: str
    inside: str
    group: str
    bind: str
    """Where it listens, in its own network."""


def packaged(plan: Plan) -> GrafanaPlace:
    """As the vendor's package has it."""
    return GrafanaPlace("/etc/grafana", "/etc/grafana", "grafana", plan["monitoring"]["grafana"]["bind"])


def contained(plan: Plan) -> GrafanaPlace:
    """The folder is mounted into the container, read-only, at `/etc/grafana`; the host publishes the port."""
    return GrafanaPlace(config(plan, "grafana"), "/etc/grafana", IMAGE_ID, ANY_ADDRESS)


def secret_names(plan: Plan) -> tuple[str, ...]:
    """Secrets whose values Grafana has to have."""
    return (ADMIN, SIGNING, *((METRICS_TLS,) if _prometheus(plan)["tls"] else ()))


def grafana_directories(place: GrafanaPlace) -> tuple[Directory, ...]:
    """Outermost first."""
    names = (
        "",
        "/provisioning",
        "/provisioning/dashboards",
        "/provisioning/datasources",
        "/dashboards",
        "/credentials",
    )
    return tuple(Directory(f"{place.folder}{name}", group=place.group, mode="0750") for name in names)


def grafana_files(plan: Plan, place: GrafanaPlace) -> tuple[File, ...]:
    """Everything that Grafana reads. The plan must have `monitoring.grafana`."""
    texts = {
        "grafana.ini": ini_text(plan, place),
        "provisioning/datasources/aimesh.yaml": _yaml(datasources(plan, place)),
        "provisioning/dashboards/aimesh.yaml": _yaml(dashboard_provider(place)),
        **{f"dashboards/{name}": text for name, text in dashboard_files(plan).items()},
    }
    return (
        *(File(f"{place.folder}/{name}", text=text, group=place.group, mode="0640") for name, text in texts.items()),
        *(_credential(place, name) for name in secret_names(plan)),
    )


def apt_files(plan: Plan) -> tuple[File, ...]:
    """The vendor's repository, trusted for the one key that the plan has: armored text, or a path on the host."""
    source = plan["monitoring"]["grafana"]["source"]
    lines = ["Types: deb", f"URIs: {source['apt_repository']}", f"Suites: {APT_SUITE}", "Components: main"]
    return (File(APT_SOURCE, text="\n".join([*lines, f"Signed-By:{_signed_by(source['apt_key'])}"]) + "\n"),)


def _signed_by(key: str) -> str:
    """deb822 takes a key itself: indented, an empty line as a dot."""
    if key.startswith("/"):
        return f" {key}"
    return "".join(f"\n {line.strip() or '.'}" for line in key.strip().splitlines())


def ini_text(plan: Plan, place: GrafanaPlace) -> str:
    sections = settings(plan, place)
    blocks = (
        "\n".join([f"[{section}]", *(f"{name} = {value}" for name, value in values.items())])
        for section, values in sections.items()
    )
    return "\n\n".join(blocks) + "\n"


def settings(plan: Plan, place: GrafanaPlace) -> dict[str, dict[str, str]]:
    """Sections of grafana.ini. Nothing calls home, nobody comes in without a log-in or makes one for himself."""
    return {
        "paths": {"provisioning": f"{place.inside}/provisioning"},
        "server": {
            "protocol": "http",
            "http_addr": place.bind,
            "http_port": str(plan["monitoring"]["grafana"]["port"]),
        },
        "security": {
            "admin_user": "admin",
            "admin_password": _from_file(place, ADMIN),
            "secret_key": _from_file(place, SIGNING),
            "disable_gravatar": "true",
            "cookie_samesite": "strict",
        },
        "users": {"allow_sign_up": "false", "allow_org_create": "false", "auto_assign_org_role": "Viewer"},
        "auth.anonymous": {"enabled": "false"},
        "analytics": {
            "reporting_enabled": "false",
            "check_for_updates": "false",
            "check_for_plugin_updates": "false",
            "feedback_links_enabled": "false",
        },
        "news": {"news_feed_enabled": "false"},
        "plugins": {"plugin_admin_enabled": "false", "preinstall_disabled": "true"},
        "snapshots": {"external_enabled": "false"},
        # Alerts are Prometheus's; a second place for them would be one that no drill proves.
        "unified_alerting": {"enabled": "false"},
        "dashboards": {"default_home_dashboard_path": f"{place.inside}/dashboards/{HOME}.json"},
        "metrics": {"enabled": "false"},
        "log": {"mode": "console", "level": "warn"},
    }


def datasources(plan: Plan, place: GrafanaPlace) -> dict[str, Any]:
    """The one data source. Its uid is fixed: dashboards name it, and Grafana keeps an old one in silence."""
    prometheus = _prometheus(plan)
    options: dict[str, Any] = {
        "httpMethod": "POST",
        "prometheusType": "Prometheus",
        # Grafana makes the shortest interval of a rate from it.
        "timeInterval": f"{plan['monitoring']['scrape_interval_s']}s",
        "manageAlerts": False,
    }
    source: dict[str, Any] = {
        "name": "Prometheus",
        "uid": DATASOURCE_UID,
        "orgId": 1,
        "type": "prometheus",
        "access": "proxy",
        "url": f"{'https' if prometheus['tls'] else 'http'}://{prometheus['address']}",
        "isDefault": True,
        "editable": False,
        "jsonData": options,
    }
    if prometheus["tls"]:
        options |= {"tlsAuth": True, "tlsAuthWithCACert": True, "serverName": TLS_NAME}
        # Of a PEM file with key and certificate, each reader takes what it looks for.
        pem = _from_file(place, METRICS_TLS)
        source["secureJsonData"] = dict.fromkeys(("tlsCACert", "tlsClientCert", "tlsClientKey"), pem)
    return {"apiVersion": 1, "datasources": [source]}


def dashboard_provider(place: GrafanaPlace) -> dict[str, Any]:
    """Dashboards come from files alone: nobody changes or deletes one in the browser."""
    provider = {
        "name": "aimesh",
        "orgId": 1,
        "folder": "Mesh",
        "folderUid": "aimesh",
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": f"{place.inside}/dashboards", "foldersFromFilesStructure": False},
    }
    return {"apiVersion": 1, "providers": [provider]}


def _credential(place: GrafanaPlace, name: str) -> File:
    path = f"{place.folder}/credentials/{name}"
    return File(path, inline=f"{{{{ secrets.{name} }}}}", secrets=(name,), group=place.group, mode="0640")


def _from_file(place: GrafanaPlace, name: str) -> str:
    """Grafana reads the value from the credential's file; https://grafana.com/docs, "Variable expansion"."""
    return f"$__file{{{place.inside}/credentials/{name}}}"


def _prometheus(plan: Plan) -> dict[str, Any]:
    return next(part for part in plan["monitoring"]["parts"] if part["part"] == "prometheus")


def _yaml(document: dict[str, Any]) -> str:
    # By way of JSON: values that are the same object would become anchors.
    return yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False, default_flow_style=False)
