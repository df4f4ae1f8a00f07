"""Monitoring and alerting: which parts watch the mesh, where they listen, who is told."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import Platform, SizeProfile, monitoring_defaults
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems, shown
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import LOOPBACK
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.services import with_role
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.topology import MeshHost

LOGIN = "mesh_monitor"
"""Under which the exporters log in to PostgreSQL and Redis."""
EXPORTERS = {"node-exporter": None, "postgres-exporter": "data", "redis-exporter": "cache"}
"""Exporter → role of the hosts that it watches; None: every host."""
CENTRAL = ("blackbox-exporter", "alert-receiver", "alertmanager", "prometheus")
"""Once, on the monitoring host, in start order."""
KEEPING = ("prometheus", "alertmanager", "alert-receiver")
"""Parts that keep data on their host."""
DATA = "/var/lib/aimesh-"
DEFAULT_TEAM = "platform"
RUNBOOKS = "https://aimesh.example/docs/runbooks"
VARIABLES = ("mesh_monitoring", "mesh_alerting")
SECRETS = ("db_monitor_password", "redis_monitor_password", "alert_token")
"""Generated for a mesh that is monitored."""
BETWEEN_HOSTS = ("metrics_tls",)
"""And where one host asks another."""
GRAFANA_SECRETS = ("grafana_admin_password", "grafana_secret_key")
OURS = "aimesh-"
"""What names of receivers begin with that the mesh has itself."""


def receiver_secret(name: str) -> str:
    """Name of the secret that a receiver needs: `ops-slack` → `receiver_ops_slack`."""
    return f"receiver_{name.replace('-', '_')}"


def needed_secrets(settings: Settings, platform: Platform) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of secrets that monitoring needs: those that can be generated, and those that only an operator knows."""
    if not platform.monitoring:
        return (), ()
    receivers = settings.site["mesh_alerting"].get("receivers", [])
    generated = SECRETS + (BETWEEN_HOSTS if platform.several_hosts else ())
    generated += GRAFANA_SECRETS if settings.site["mesh_monitoring"].get("grafana") else ()
    return generated, tuple(dict.fromkeys(secret for each in receivers if (secret := _secret(each))))


def plan_monitoring(
    settings: Settings, profile: SizeProfile, platform: Platform, hosts: list[MeshHost], problems: Problems
) -> dict[str, Any] | None:
    """The plan's `monitoring`; None where nothing watches the mesh."""
    at_site = problems.at(settings.origins)
    watchers = with_role(hosts, "monitoring")
    if not platform.monitoring or not watchers:
        _refuse(settings, platform, at_site)
        return None
    home, own, defaults = watchers[0], settings.site["mesh_monitoring"], monitoring_defaults()
    return {
        "host": home.name,
        "login": LOGIN,
        "scrape_interval_s": own.get("scrape_interval_s", profile.monitoring["scrape_interval_s"]),
        "evaluation_interval_s": defaults["evaluation_interval_s"],
        "retention_days": own.get("retention_days", profile.monitoring["retention_days"]),
        "retention_mb": own.get("retention_mb", profile.monitoring["retention_mb"]),
        "parts": _parts(home, hosts, profile, platform, defaults),
        "data_dirs": {part: f"{DATA}{part}" for part in KEEPING},
        "alerting": _alerting(settings, defaults, at_site),
        "thresholds": {name: settings.site["mesh_thresholds"].get(name, value) for name, value in _limits().items()},
        "grafana": _grafana(own.get("grafana"), platform, settings, defaults, at_site),
    }


def threshold_names() -> tuple[str, ...]:
    """Thresholds that alerts alone have, besides those that verification shares."""
    return tuple(_limits())


def _limits() -> dict[str, Any]:
    return dict(monitoring_defaults()["thresholds"])


def _refuse(settings: Settings, platform: Platform, at_site: Problems) -> None:
    """What was asked for and nobody could do."""
    why = (
        f"nothing on platform {settings.site['mesh_platform']}, which has no monitoring"
        if not platform.monitoring
        else "nothing, since the group mesh_monitoring has no host"
    )
    remedy = "remove it" if not platform.monitoring else "remove it, or put a host of mesh into the group"
    for name in VARIABLES:
        if settings.site[name]:
            at_site.wrong(name, settings.site[name], why, remedy)


def _parts(
    home: MeshHost, hosts: list[MeshHost], profile: SizeProfile, platform: Platform, defaults: dict[str, Any]
) -> list[dict[str, Any]]:
    found = [
        _part(part, host, watched_from=home, defaults=defaults)
        for part, role in EXPORTERS.items()
        if role is not None or platform.host_metrics
        for host in (hosts if role is None else with_role(hosts, role))
    ]
    found += [_part(part, home, watched_from=home, defaults=defaults) for part in CENTRAL]
    for part in found:
        if part["part"] == "prometheus":
            part["memory_mb"] = profile.monitoring["memory_mb"]
        if part["part"] == "alert-receiver" and any(host.name != home.name for host in with_role(hosts, "app")):
            # The UI asks it, with a token, as it asks the services.
            part["bind"] = home.address
            part["address"] = f"{home.address}:{part['port']}"
    return found


def _part(part: str, host: MeshHost, *, watched_from: MeshHost, defaults: dict[str, Any]) -> dict[str, Any]:
    """A part listens no wider than Prometheus needs; what leaves the host is encrypted, and only Prometheus gets in."""
    local = host.name == watched_from.name
    bind, port = LOOPBACK if local else host.address, defaults["ports"][part]
    return {
        "part": part,
        "host": host.name,
        "bind": bind,
        "port": port,
        "address": f"{bind}:{port}",
        "unit": f"aimesh-{part}",
        "memory_mb": defaults["memory_mb"].get(part, 0),
        "tls": not local,
    }


def _alerting(settings: Settings, defaults: dict[str, Any], at_site: Problems) -> dict[str, Any]:
    own = settings.site["mesh_alerting"]
    receivers = [_receiver(each) for each in own.get("receivers", [])]
    names = [each["name"] for each in receivers]
    routes = [
        {"receiver": each["receiver"], "severities": each.get("severities", []), "teams": each.get("teams", [])}
        for each in own.get("routes", [])
    ]
    teams = dict(own.get("teams", {}))
    known = {*teams.values(), DEFAULT_TEAM}
    for number, route in enumerate(routes):
        path = f"mesh_alerting.routes[{number}]"
        _check_receiver(f"{path}.receiver", route["receiver"], names, at_site)
        for team in route["teams"]:
            if team not in known:
                at_site.say(
                    f"{path}.teams",
                    f"has {shown(team)}, and mesh_alerting.teams gives nothing to it "
                    f"(teams: {', '.join(sorted(known))}); "
                    "name one of these, or give it a service there",
                )
    _check_receivers(receivers, own.get("deadman"), at_site)
    return {
        "runbook_url": own.get("runbook_url", RUNBOOKS).rstrip("/"),
        **defaults["alerting"],
        "teams": teams,
        "receivers": receivers,
        "routes": routes,
        "deadman": own.get("deadman"),
    }


def _check_receivers(receivers: list[dict[str, Any]], deadman: str | None, at_site: Problems) -> None:
    for number, receiver in enumerate(receivers):
        if receiver["name"].startswith(OURS):
            at_site.wrong(
                f"mesh_alerting.receivers[{number}].name",
                receiver["name"],
                f"a name that does not begin with {OURS}, which the mesh's own receivers have",
                "rename it",
            )
    if deadman:
        _check_receiver("mesh_alerting.deadman", deadman, [each["name"] for each in receivers], at_site)
        kind = next((each["kind"] for each in receivers if each["name"] == deadman), "webhook")
        if kind != "webhook":
            # It is told every minute that alerting is alive: people and their pagers are not.
            at_site.wrong(
                "mesh_alerting.deadman",
                deadman,
                f"a receiver of kind webhook, and {deadman} is of kind {kind}",
                "name the webhook of a service that raises the alarm when it hears nothing",
            )


def _check_receiver(path: str, name: str, names: list[str], at_site: Problems) -> None:
    if name not in names:
        allowed = f"one of {', '.join(names)}" if names else "nothing, since mesh_alerting.receivers has none"
        at_site.wrong(path, name, allowed, "name one of them, or add it to mesh_alerting.receivers")


def _receiver(given: dict[str, Any]) -> dict[str, Any]:
    found = dict(given) | {"secret": _secret(given)}
    if given["kind"] == "email":
        found.setdefault("username", None)
    return found


def _secret(receiver: dict[str, Any]) -> str | None:
    """A mail server that asks for no name asks for no password."""
    if receiver["kind"] == "email" and not receiver.get("username"):
        return None
    return receiver_secret(receiver["name"])


def _grafana(
    given: dict[str, Any] | None,
    platform: Platform,
    settings: Settings,
    defaults: dict[str, Any],
    at_site: Problems,
) -> dict[str, Any] | None:
    if not given:
        return None
    if platform.cluster:
        at_site.wrong(
            "mesh_monitoring.grafana",
            given,
            f"nothing on platform {settings.site['mesh_platform']}, whose clusters have a Grafana of their own",
            "remove it, and give that one the dashboards of this repository",
        )
        return None
    wanted = ("image",) if platform.containers else ("apt_repository", "apt_key")
    surplus = [key for key in given if key not in wanted]
    missing = [key for key in wanted if key not in given]
    if surplus or missing:
        at_site.wrong(
            "mesh_monitoring.grafana",
            given,
            f"the keys {' and '.join(wanted)} on platform {settings.site['mesh_platform']}",
            "give these and no others, or leave grafana out",
        )
    return {"port": defaults["grafana_port"], "bind": LOOPBACK, "source": {key: given.get(key, "") for key in wanted}}
