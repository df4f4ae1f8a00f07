"""How each part of monitoring is run, the same on every platform: its command line, and when it is ready.

Only what Debian's versions have in common is used: Prometheus 2.42 and 2.53, Alertmanager 0.25 and 0.28, node exporter
1.5 and 1.9, PostgreSQL exporter 0.11 and 0.17, Redis exporter 1.45 and 1.69.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, postgresql_address, redis_address

PROGRAMS = {
    "prometheus": "/usr/bin/prometheus",
    "alertmanager": "/usr/bin/prometheus-alertmanager",
    "blackbox-exporter": "/usr/bin/prometheus-blackbox-exporter",
    "alert-receiver": "/usr/bin/python3",
    "node-exporter": "/usr/bin/prometheus-node-exporter",
    "postgres-exporter": "/usr/bin/prometheus-postgres-exporter",
    "redis-exporter": "/usr/bin/prometheus-redis-exporter",
}
READY = {
    "prometheus": "/-/ready",
    "alertmanager": "/-/ready",
    "blackbox-exporter": "/-/healthy",
    "alert-receiver": "/health",
    "node-exporter": "/",
    "postgres-exporter": "/",
    "redis-exporter": "/health",
}
"""Part → the path that answers 200 once it works, without asking what it watches."""
RELOADING = ("prometheus", "alertmanager")
"""Parts that take a changed configuration by SIGHUP."""
TEXTFILES = "/var/lib/aimesh-metrics"
"""Folder of every host for metrics that jobs leave behind as `NAME.prom`, and the node exporter tells."""
HOST_COLLECTORS = (
    "cpu",
    "diskstats",
    "filefd",
    "filesystem",
    "loadavg",
    "meminfo",
    "pressure",
    "stat",
    "textfile",
    "time",
    "timex",
    "uname",
    "vmstat",
)
"""Collectors of the node exporter that tell about the host wherever it runs; no others are on than these two lists."""
NETWORK_COLLECTORS = ("netdev", "netstat", "sockstat")
"""They tell about the network that the exporter itself is in: the host's, unless it is in a container."""
NO_DISK = (
    "autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|proc|"
    "procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs"
)
"""File systems that never fill up. Debian's own list has `overlay` too, which some machines have as their root."""
HEAP_SHARE = 0.9
"""Of its memory limit: Go's collector works harder before the kernel has to end the program."""


@dataclass(frozen=True)
class Seen:
    """Where the part's own process sees what it reads and writes; each part needs some of it."""

    config: str = ""
    data: str = ""
    """Folder for what it keeps."""
    credential: str = ""
    """File with its password or token; for the Redis exporter as `redis_passwords` writes it."""
    certificate: str = ""
    """PEM of `metrics_tls`."""
    web: str = ""
    """File that `web_config` writes, for a part with TLS."""
    script: str = ""
    """The alert receiver's file."""
    collectors: tuple[str, ...] = (*HOST_COLLECTORS, *NETWORK_COLLECTORS)
    """Of the node exporter."""
    no_mounts: str = ""
    """Mount points that the node exporter leaves out, a regular expression; empty: Debian's own choice."""


@dataclass(frozen=True)
class Run:
    """`environment` holds no secret."""

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def run_of(plan: Plan, part: dict[str, Any], seen: Seen, bind: str = "") -> Run:
    """How a part of the plan is run. `bind`: where it listens, when that is not what the plan says."""
    listen = f"{bind or part['bind']}:{part['port']}"
    options, environment = OPTIONS[part["part"]](plan, part, seen)
    if part["part"] != "alert-receiver":
        environment = {"GOMEMLIMIT": f"{round(part['memory_mb'] * HEAP_SHARE)}MiB", **environment}
    return Run((PROGRAMS[part["part"]], *options, *_listening(part, seen, listen)), environment)


def web_config(certificate: str) -> str:
    """What makes a part with TLS let in only who has the mesh's certificate."""
    tls = {
        "cert_file": certificate,
        "key_file": certificate,
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": certificate,
        "min_version": "TLS12",
    }
    return json.dumps({"tls_server_config": tls}, indent=2) + "\n"


def redis_passwords(plan: Plan, host: str) -> str:
    """The Redis exporter's file of passwords as a Jinja template that needs the secret `redis_monitor_password`.

    It looks the password up by address: 1.45 without the login in it, 1.69 with it.
    """
    addresses = [_redis_url(plan, host, login=login) for login in (False, True)]
    lines = ",\n".join(
        f"  {json.dumps(each)}: {{{{ secrets.redis_monitor_password | to_json }}}}" for each in addresses
    )
    return f"{{\n{lines}\n}}\n"


def _listening(part: dict[str, Any], seen: Seen, listen: str) -> tuple[str, ...]:
    if part["part"] == "alert-receiver":
        return ("--listen", listen)
    tls: tuple[str, ...] = ()
    if part["tls"] and part["part"] == "redis-exporter":
        pem = seen.certificate
        tls = (f"--tls-server-cert-file={pem}", f"--tls-server-key-file={pem}", f"--tls-server-ca-cert-file={pem}")
    elif part["tls"]:
        tls = (f"--web.config.file={seen.web}",)
    return (f"--web.listen-address={listen}", *tls)


Options = tuple[tuple[str, ...], dict[str, str]]


def _prometheus(plan: Plan, part: dict[str, Any], seen: Seen) -> Options:
    monitoring = plan["monitoring"]
    return (
        f"--config.file={seen.config}",
        f"--storage.tsdb.path={seen.data}",
        f"--storage.tsdb.retention.time={monitoring['retention_days']}d",
        f"--storage.tsdb.retention.size={monitoring['retention_mb']}MB",
        f"--web.external-url=http://{part['address']}/",
    ), {}


def _alertmanager(_plan: Plan, part: dict[str, Any], seen: Seen) -> Options:
    return (
        f"--config.file={seen.config}",
        f"--storage.path={seen.data}",
        f"--web.external-url=http://{part['address']}/",
        # There is one; without this it would listen for others.
        "--cluster.listen-address=",
    ), {}


def _blackbox(_plan: Plan, _part: dict[str, Any], seen: Seen) -> Options:
    return (f"--config.file={seen.config}",), {}


def _alert_receiver(_plan: Plan, _part: dict[str, Any], seen: Seen) -> Options:
    return ("-I", "-S", "-B", seen.script, "--ledger", seen.data, "--token-file", seen.credential), {}


def _node(_plan: Plan, _part: dict[str, Any], seen: Seen) -> Options:
    return (
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in seen.collectors),
        f"--collector.textfile.directory={TEXTFILES}",
        f"--collector.filesystem.fs-types-exclude=^({NO_DISK})$",
        *((f"--collector.filesystem.mount-points-exclude={seen.no_mounts}",) if seen.no_mounts else ()),
    ), {}


def _postgres(plan: Plan, part: dict[str, Any], seen: Seen) -> Options:
    address = f"{postgresql_address(plan, part['host'])}:{plan['postgresql']['port']}"
    return (), {
        # The login reads the server's own statistics, which every database shows; it may connect to this one.
        "DATA_SOURCE_URI": f"{address}/postgres?sslmode=disable",
        "DATA_SOURCE_USER": plan["monitoring"]["login"],
        "DATA_SOURCE_PASS_FILE": seen.credential,
    }


def _redis(plan: Plan, part: dict[str, Any], seen: Seen) -> Options:
    return (
        f"--redis.addr={_redis_url(plan, part['host'])}",
        f"--redis.user={plan['monitoring']['login']}",
        f"--redis.password-file={seen.credential}",
        # Its user may not read the configuration.
        "--config-command=-",
    ), {}


def _redis_url(plan: Plan, host: str, *, login: bool = False) -> str:
    user = f"{plan['monitoring']['login']}@" if login else ""
    return f"redis://{user}{redis_address(plan, host)}:{plan['redis']['port']}"


OPTIONS: dict[str, Callable[[Plan, dict[str, Any], Seen], Options]] = {
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
    "blackbox-exporter": _blackbox,
    "alert-receiver": _alert_receiver,
    "node-exporter": _node,
    "postgres-exporter": _postgres,
    "redis-exporter": _redis,
}
