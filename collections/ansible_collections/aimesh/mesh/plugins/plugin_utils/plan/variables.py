"""Every public variable: type, default, what is allowed. Validation, docs/variables.md and surveys come from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kinds import (
    Address,
    Boolean,
    Calendar,
    Choice,
    Cron,
    Fields,
    Integer,
    Kind,
    ListOf,
    MapOf,
    Network,
    Number,
    OneOf,
    PrivateSubnet,
    Regex,
    Scalar,
    Schedule,
    Text,
    Version,
)

SERVICES = ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")
"""In the order of their public ports, 3000 to 3005."""
SIZES = ("local", "small", "medium", "enterprise")
SERVICE_PATTERN = "|".join(SERVICES)
SERVICE_RULE = f"one of {', '.join(SERVICES)}"
NAME_PATTERN = r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?"
NAME_RULE = "1 to 32 characters a-z, 0-9 and -, beginning with a letter, not ending with -"
PORT = Integer(1024, 65535)
PGBACKREST, DUMP, NO_BACKUPS = "pgbackrest", "dump", "none"

SERVICE = Fields(
    {
        "replicas": Integer(1, 26),
        "memory_mb": Integer(64, 1048576),
        "cpus": Number(0.1, 256),
        "port": PORT,
        "exposure": Choice(("edge", "mesh", "host")),
        "drain_s": Integer(0, 3600),
        "db_pool": Fields({"min": Integer(1, 100), "max": Integer(1, 100)}),
    }
)
BUNDLED, EXTERNAL, CLOUDNATIVEPG = "bundled", "external", "cloudnativepg"
STORE_HOST = Text(
    "a DNS name or an IPv4 address", r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?", 253
)
NETWORKS = ListOf(Network(), least=1)
DATABASE = Fields(
    {
        "kind": Choice((BUNDLED, EXTERNAL, CLOUDNATIVEPG)),
        "host": STORE_HOST,
        "networks": NETWORKS,
        "sslmode": Choice(("disable", "prefer", "require")),
        "storage_gb": Integer(1, 65536),
        "backup_gb": Integer(1, 65536),
    }
)
CACHE = Fields(
    {
        "kind": Choice((BUNDLED, EXTERNAL)),
        "host": STORE_HOST,
        "networks": NETWORKS,
        "tls": Boolean(),
        "storage_gb": Integer(1, 65536),
    }
)
LABEL = Text(
    "1 to 63 characters a-z, 0-9 and -, beginning and ending with a letter or digit",
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    63,
)
OBJECT_NAME = Text("the name of an object, of a-z, 0-9, - and dots", r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", 253)
INGRESS = Fields(
    {
        "class": OBJECT_NAME,
        "tls_secret": OBJECT_NAME,
        "namespace": LABEL,
        "annotations": MapOf(
            r"([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?",
            "an annotation's name",
            Text("a text", longest=4096),
        ),
    },
    ("class", "tls_secret"),
)
AUTOSCALE = Fields({"max": Integer(1, 26), "cpu_percent": Integer(1, 1000)})
PLAN_SETS_IT = "the plan sets it"
OWN_SETTINGS = {
    "port": "set mesh_postgresql.port",
    "listen_addresses": "the plan computes it from the hosts' mesh_address",
    "data_directory": PLAN_SETS_IT,
    "hba_file": PLAN_SETS_IT,
    "ident_file": PLAN_SETS_IT,
    "unix_socket_directories": PLAN_SETS_IT,
    "password_encryption": "logins always use scram-sha-256",
    "wal_level": "backups need replica",
    "archive_mode": "mesh_backup.engine decides",
    "archive_command": "backups set it",
    "archive_timeout": "backups set it",
}
SETTING = MapOf(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?", "a PostgreSQL setting", Scalar(), OWN_SETTINGS)
RULE_ID = Text(NAME_RULE, NAME_PATTERN)
EFFECT = Choice(("deny", "redact", "allow"))
REASON = Text("a text of 1 to 200 characters")
OVERRIDES = ListOf(RULE_ID)
CALLER_ROLES = Choice(("service", "verify", "admin", "operator", "reader"))
CONTEXT = Choice(("user_id", "agent_id"))
RULE = OneOf(
    "kind",
    {
        "keyword": Fields(
            {
                "id": RULE_ID,
                "kind": Choice(("keyword",)),
                "any": ListOf(Text("a phrase"), least=1),
                "effect": EFFECT,
                "reason": REASON,
                "overrides": OVERRIDES,
            },
            ("id", "any", "effect", "reason"),
        ),
        "regex": Fields(
            {
                "id": RULE_ID,
                "kind": Choice(("regex",)),
                "pattern": Regex(),
                "effect": EFFECT,
                "reason": REASON,
                "overrides": OVERRIDES,
            },
            ("id", "pattern", "effect", "reason"),
        ),
        "size": Fields(
            {
                "id": RULE_ID,
                "kind": Choice(("size",)),
                "max_chars": Integer(1, 10_000_000),
                "effect": Choice(("deny",)),
                "reason": REASON,
            },
            ("id", "max_chars", "effect", "reason"),
        ),
        "rate": Fields(
            {
                "id": RULE_ID,
                "kind": Choice(("rate",)),
                "requests": Integer(1, 1_000_000),
                "seconds": Integer(1, 86400),
                "per": CONTEXT,
                "effect": Choice(("deny",)),
                "reason": REASON,
            },
            ("id", "requests", "seconds", "effect", "reason"),
        ),
        "role": Fields(
            {
                "id": RULE_ID,
                "kind": Choice(("role",)),
                "roles": ListOf(CALLER_ROLES, least=1),
                "effect": Choice(("deny", "allow")),
                "reason": REASON,
                "overrides": OVERRIDES,
            },
            ("id", "roles", "effect", "reason"),
        ),
    },
)
URL = Text("an http or https URL", r"https?://[^\s/?#@]+(/[^\s?#]*)?")
PEER = Fields({"name": Text(NAME_RULE, NAME_PATTERN), "url": URL}, ("name", "url"))
SEVERITIES = ("critical", "warning", "ticket")
RECEIVER_NAME = Text(NAME_RULE, NAME_PATTERN)
RECEIVER = OneOf(
    "kind",
    {
        "slack": Fields(
            {
                "name": RECEIVER_NAME,
                "kind": Choice(("slack",)),
                "channel": Text("a channel or user, as #ops or @anna", r"[#@][^\s]+"),
            },
            ("name", "channel"),
        ),
        "pagerduty": Fields({"name": RECEIVER_NAME, "kind": Choice(("pagerduty",)), "url": URL}, ("name",)),
        "webhook": Fields({"name": RECEIVER_NAME, "kind": Choice(("webhook",))}, ("name",)),
        "email": Fields(
            {
                "name": RECEIVER_NAME,
                "kind": Choice(("email",)),
                "to": ListOf(Text("a mail address", r"[^\s@,]+@[^\s@,]+"), least=1),
                "from": Text("a mail address", r"[^\s@,]+@[^\s@,]+"),
                "smarthost": Text("a mail server with its port, as mail.acme.example:587", r"[A-Za-z0-9.-]+:\d{1,5}"),
                "username": Text("the name to log in with", r"\S+"),
                "require_tls": Boolean(),
            },
            ("name", "to", "from", "smarthost"),
        ),
    },
)
TEAM = Text(NAME_RULE, NAME_PATTERN)
ROUTE = Fields(
    {"receiver": RECEIVER_NAME, "severities": ListOf(Choice(SEVERITIES), least=1), "teams": ListOf(TEAM, least=1)},
    ("receiver",),
)
WATCHED = (*SERVICES, "host", "postgresql", "redis", "monitoring")
ALERTING = Fields(
    {
        "receivers": ListOf(RECEIVER, "name"),
        "routes": ListOf(ROUTE),
        "teams": MapOf("|".join(WATCHED), f"one of {', '.join(WATCHED)}", TEAM, known=WATCHED),
        "deadman": RECEIVER_NAME,
        "runbook_url": URL,
    }
)
MONITORING = Fields(
    {
        "scrape_interval_s": Integer(5, 60),
        "retention_days": Integer(1, 3650),
        "retention_mb": Integer(128, 10_000_000),
        "grafana": Fields(
            {
                "apt_repository": URL,
                "apt_key": Text(
                    "the repository's public key, armored, as {{ lookup('file', 'grafana.asc') }} gives it",
                    r"\s*-----BEGIN PGP PUBLIC KEY BLOCK-----[\s\S]+",
                    65536,
                ),
                "image": Text(
                    "an image by its digest, as registry.example/grafana@sha256:…", r"\S+@sha256:[0-9a-f]{64}"
                ),
            }
        ),
    }
)
RATIO = Number(0, 1)
EXPORTERS = ("node-exporter", "postgres-exporter", "redis-exporter", "blackbox-exporter")
DRILL_FAULTS = (*EXPORTERS, *SERVICES)
ALERT_THRESHOLDS: dict[str, Kind] = {
    "min_requests": Integer(1, 1_000_000),
    "postgresql_connections_ratio": RATIO,
    "postgresql_lag_s": Integer(1, 86400),
    "redis_memory_ratio": RATIO,
    "disk_free_ratio": RATIO,
    "disk_free_critical_ratio": RATIO,
    "inodes_free_ratio": RATIO,
    "memory_free_ratio": RATIO,
    "clock_skew_s": Number(0.001, 60),
    "certificate_warning_days": Integer(1, 365),
    "certificate_critical_days": Integer(1, 365),
    "backup_full_age_h": Integer(1, 8760),
    "backup_incremental_age_h": Integer(1, 8760),
    "drill_age_days": Integer(1, 365),
}
"""Where alerts alone draw the line; defaults are in monitoring.json."""
S3 = Fields(
    {
        "endpoint": Text("the host name of an object store", r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"),
        "port": Integer(1, 65535),
        "region": Text("a region of 1 to 64 letters, digits and dashes", r"[A-Za-z0-9-]{1,64}"),
        "bucket": Text("a bucket's name of 3 to 63 lower-case letters, digits, dots and dashes", r"[a-z0-9.-]{3,63}"),
        "path": Text("a path in the bucket that begins with a slash", r"/[A-Za-z0-9._/-]*"),
        "uri_style": Choice(("path", "host")),
        "ca": Text(
            "certificates in PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----",
            r"(-----BEGIN CERTIFICATE-----\s[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----\s*)+",
            65536,
        ),
    },
    ("endpoint", "bucket"),
)
RECIPIENT = Text("a public key of age, as age1…", r"age1[02-9ac-hj-np-z]{58}")
BACKUP = Fields(
    {
        "engine": Choice((PGBACKREST, DUMP, NO_BACKUPS)),
        "schedule": Cron(),
        "retention_days": Integer(1, 3650),
        "full": Calendar(),
        "differential": Calendar(),
        "incremental": Calendar(),
        "configuration": Calendar(),
        "check": Calendar(),
        "recipients": ListOf(RECIPIENT),
        "s3": S3,
    }
)
BACKUP_KINDS = ("full", "differential", "incremental", "dump", "configuration")
RESTORE_TO = Text(
    "latest, the label of a backup, or a time as 2026-11-28T10:00:00Z",
    r"latest|\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?|"
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)",
)
UPDATE = Fields(
    {
        "soak_s": Integer(0, 3600),
        "ready_timeout_s": Integer(1, 3600),
        "traffic": Boolean(),
        "requests_per_second": Integer(1, 1000),
        "p99_factor": Number(1, 100),
        "backup": Boolean(),
    }
)
ISSUER = Text(
    "an https URL, or http on the loopback",
    r"(https://[^\s/?#@]+|http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?)(/[^\s?#]*)?",
)
OIDC = Fields(
    {
        "issuer": ISSUER,
        "audience": Text("the audience that tokens must name, 1 to 200 characters without spaces", r"\S+"),
        "role_claim": Text("the name of a claim, with dots for nested ones", r"[A-Za-z0-9_:/.-]+"),
    },
    ("issuer", "audience"),
)
MCP_REMOTE = Fields({"type": Choice(("streamable-http", "sse")), "url": URL}, ("type", "url"))
MCP_SERVER = Fields(
    {
        "name": Text("a reverse-DNS name as com.example/weather", r"[A-Za-z0-9.-]+/[A-Za-z0-9._-]+"),
        "title": Text("a text of 1 to 100 characters", longest=100),
        "description": Text("a text of 1 to 100 characters", longest=100),
        "version": Text("a version of 1 to 100 characters without spaces and slashes", r"[^\s/^~*<>=]+", 100),
        "websiteUrl": URL,
        "remotes": ListOf(MCP_REMOTE),
    },
    ("name", "description", "version"),
)
"""The part of the MCP registry's server.json that a mesh serves; its keys are spelled as there."""
DEFAULT_RULES: list[dict[str, Any]] = [
    {
        "id": "prompt-injection",
        "kind": "keyword",
        "any": ["ignore previous instructions", "reveal the system prompt"],
        "effect": "deny",
        "reason": "prompt injection phrase",
    },
    {
        "id": "card-number",
        "kind": "regex",
        "pattern": r"\b(?:\d[ -]?){13,16}\b",
        "effect": "redact",
        "reason": "payment card number",
    },
    {
        "id": "prompt-size",
        "kind": "size",
        "max_chars": 32768,
        "effect": "deny",
        "reason": "prompt longer than 32768 characters",
    },
]


@dataclass(frozen=True)
class Variable:
    """One public variable. `default` is its value when unset; None with `default_text` says how it is found."""

    name: str
    kind: Kind
    description: str
    example: str
    default: Any = None
    default_text: str = ""
    group: str = "Site"
    scope: str = "site"
    """`site`: one value for all hosts. `host`: each host its own. `wish`: for one run, usually with -e."""
    required: bool = False
    deferred: bool = False
    """Read only by the verb that needs it, so a text like any other here."""

    @property
    def remedy(self) -> str:
        return f"for example {self.name}: {self.example}"


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "mesh_name",
        Text(NAME_RULE, NAME_PATTERN, 32),
        "Name of the mesh; folders, reports and confirmations carry it.",
        "acme",
        required=True,
    ),
    Variable(
        "mesh_size",
        Choice(SIZES),
        "Size profile: minima, limits, tuning, thresholds and replicas come from it.",
        "small",
        required=True,
    ),
    Variable(
        "mesh_platform",
        Choice(("process", "systemd", "compose", "kubernetes")),
        "What runs the mesh: local processes on this machine, systemd on VMs, Docker Compose, or a Kubernetes cluster.",
        "systemd",
        "systemd",
    ),
    Variable(
        "mesh_version",
        Version(),
        "Release to run, as `make release` built it.",
        '"1.0.0"',
        default_text="the newest release in mesh_release_source",
    ),
    Variable(
        "mesh_domain",
        Text(
            "a DNS name", r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", 253
        ),
        "DNS name under which people reach the mesh.",
        "mesh.acme.example",
        default_text="`localhost` on platform process, else `<mesh_name>.internal`",
    ),
    Variable(
        "mesh_auth",
        Choice(("on", "off"), ("on", "off")),
        "Whether calls need a bearer token; `off` only where everything listens on loopback.",
        '"on"',
        "on",
    ),
    Variable(
        "mesh_preflight",
        Choice(("strict", "warn")),
        "What happens below the size's minima: `strict` stops before the first change, `warn` goes on.",
        "strict",
        "strict",
    ),
    Variable(
        "mesh_release_source",
        Text("a folder, absolute or relative to the repository", r"(?!\w+://)[^\0\n]+", 4096),
        "Folder that holds the releases and `current.json`.",
        "dist",
        "dist",
    ),
    Variable(
        "mesh_secret_store",
        Choice(("vault", "file")),
        "Where secrets are kept: `secrets.yml` beside the inventory under ansible-vault, or a private file in the "
        "state directory (platform process only).",
        "vault",
        default_text="`file` on platform process, else `vault`",
    ),
    Variable(
        "mesh_state_dir",
        Text("an absolute path without spaces", r"/[A-Za-z0-9._/-]*[A-Za-z0-9._-]", 200),
        "Folder of a mesh of local processes, for everything it keeps (platform process only).",
        "/srv/aimesh",
        default_text="`/var/lib/aimesh-local` as root, else `~/.local/state/aimesh/<mesh_name>`",
    ),
    Variable(
        "mesh_os",
        Choice(("debian-13", "debian-12")),
        "Operating system of the host; preflight refuses a host that differs. Container images are of the same release "
        "of Debian (platforms systemd, compose and kubernetes).",
        "debian-13",
        "debian-13",
        group="Hosts",
        scope="host",
    ),
    Variable(
        "mesh_arch",
        Choice(("x86_64", "aarch64")),
        "Processor architecture of the host, or of the cluster's nodes (platforms systemd, compose and kubernetes).",
        "x86_64",
        "x86_64",
        group="Hosts",
        scope="host",
    ),
    Variable(
        "mesh_address",
        Address(),
        "Address by which the other hosts of the mesh reach this one.",
        "192.0.2.10",
        default_text="ansible_host; 127.0.0.1 on platform process",
        group="Hosts",
        scope="host",
    ),
    Variable(
        "mesh_container_subnet",
        PrivateSubnet(),
        "Network of the containers on the host; no host of the mesh may have an address in it (platform compose).",
        "10.201.7.0/24",
        "172.29.64.0/24",
        group="Hosts",
        scope="host",
    ),
    Variable(
        "mesh_image_registry",
        Text(
            "a registry with an optional port and path, as registry.example:5000/mesh",
            r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?(/[a-z0-9]+([._-][a-z0-9]+)*)*",
        ),
        "Registry that hosts pull the container images from, by digest (platforms compose and kubernetes).",
        "registry.acme.example/mesh",
        default_text="none: the controller sends the images (compose), or every node has them (kubernetes)",
    ),
    Variable(
        "mesh_services",
        MapOf(SERVICE_PATTERN, SERVICE_RULE, SERVICE, known=SERVICES),
        "Overrides of the size profile by service. `replicas` counts over all app hosts; `exposure` is `edge` "
        "(reachable from outside), `mesh` (from the mesh's hosts) or `host` (loopback).",
        "{registry: {replicas: 2, memory_mb: 768}}",
        {},
        "`{}`: all from the size profile",
        group="Parts",
    ),
    Variable(
        "mesh_postgresql",
        Fields(
            {
                "port": PORT,
                "replicas": Integer(0, 8),
                "login": Choice(("mesh_app_a", "mesh_app_b")),
                "settings": SETTING,
            }
        ),
        "PostgreSQL: port, read replicas, which of its two logins the services use, and settings on top of the size's "
        "tuning.",
        "{port: 5433, settings: {work_mem: 16MB}}",
        {},
        "`{}`: port 5432 (15432 embedded), tuned for the size",
        group="Parts",
    ),
    Variable(
        "mesh_redis",
        Fields({"port": PORT, "cluster": Boolean(), "maxmemory_mb": Integer(16, 1048576)}),
        "Redis: port, cluster mode, and memory.",
        "{maxmemory_mb: 1024}",
        {},
        "`{}`: port 6379 (16379 embedded), memory by the size",
        group="Parts",
    ),
    Variable(
        "mesh_autoscale",
        MapOf(SERVICE_PATTERN, SERVICE_RULE, AUTOSCALE, known=SERVICES),
        "Services that get more replicas when they are busy: the most there may be, and the share of the requested CPU "
        "that they are held at. The least is `replicas` of mesh_services; `max` of that number leaves it there "
        "(platform kubernetes).",
        "{api-gateway: {max: 10, cpu_percent: 70}}",
        {},
        "`{}`: by the size; none for local and small",
        group="Parts",
    ),
    Variable(
        "mesh_policy_rules",
        ListOf(RULE, "id"),
        "Rules of the policy service, in order; they replace the default ones.",
        "[{id: no-keys, kind: keyword, any: [BEGIN PRIVATE KEY], effect: deny, reason: private key}]",
        DEFAULT_RULES,
        "three rules: prompt injection phrases, payment card numbers, prompt size",
        group="Parts",
    ),
    Variable(
        "mesh_policy_mask",
        ListOf(CONTEXT),
        "What of a request's context the log of decisions shows as `[masked]`.",
        "[user_id]",
        [],
        group="Parts",
    ),
    Variable(
        "mesh_federation_peers",
        ListOf(PEER, "name"),
        "Meshes whose agents this one pulls.",
        "[{name: partner, url: 'https://mesh.partner.example:3004'}]",
        [],
        group="Parts",
    ),
    Variable(
        "mesh_oidc",
        OIDC,
        "OpenID provider whose access tokens the mesh takes: its issuer, the audience that tokens must name, and the "
        "claim that holds admin, operator or reader.",
        "{issuer: 'https://login.acme.example', audience: aimesh}",
        default_text="none",
        group="Parts",
    ),
    Variable(
        "mesh_requests_per_minute",
        Integer(0, 10_000_000),
        "Requests that one caller may make per minute, over all replicas; 0 is no limit.",
        "1200",
        6000,
        group="Parts",
    ),
    Variable(
        "mesh_mcp_servers",
        ListOf(MCP_SERVER),
        "MCP servers that the registry shows, in the words of the MCP registry's server.json.",
        "[{name: com.acme/weather, description: Weather, version: '1.0.0', "
        "remotes: [{type: streamable-http, url: 'https://mcp.acme.example/mcp'}]}]",
        [],
        group="Parts",
    ),
    Variable(
        "mesh_telemetry",
        Fields({"retention_days": Integer(1, 3650)}),
        "How many days raw samples are kept; the hourly figures made from them stay 400 days longer.",
        "{retention_days: 30}",
        {},
        "`{retention_days: 30}`",
        group="Parts",
    ),
    Variable(
        "mesh_backup",
        BACKUP,
        "What makes backups (`engine`: `pgbackrest` is an archive of the write-ahead log with full, differential and "
        "incremental backups, `dump` the daily dump alone, `none` nothing at all), when each kind is made "
        "(`schedule`: cron line of the dump; the others: calendar events of systemd), for how many days they are "
        "kept, further public keys of age (`recipients`) that dumps and archives are sealed to, and an object store "
        "for a second copy (`s3`).",
        "{retention_days: 30, s3: {endpoint: s3.acme.example, bucket: acme-mesh}}",
        {},
        "`{engine: pgbackrest, schedule: '0 2 * * *', retention_days: 14}` on VMs, Compose hosts and with a bundled "
        "database on Kubernetes, none elsewhere",
        group="Promises",
    ),
    Variable(
        "mesh_targets",
        Fields({"rpo_s": Integer(1, 604800), "rto_s": Integer(1, 604800), "availability": Number(0.5, 0.99999)}),
        "What the mesh promises: recovery point and recovery time in seconds, availability as a fraction.",
        "{rpo_s: 60, rto_s: 1800}",
        {},
        "`{rpo_s: 60, rto_s: 1800, availability: 0.999}`",
        group="Promises",
    ),
    Variable(
        "mesh_thresholds",
        Fields(
            {
                "error_ratio": Number(0, 1),
                "latency_p95_s": Number(0.001, 60),
                "agent_stale_s": Integer(1, 86400),
                **ALERT_THRESHOLDS,
            }
        ),
        "Where alerts and verification draw the line: share of failed requests, 95th percentile of latency in seconds, "
        "seconds without a heartbeat after which an agent is stale; the others are for alerts alone, named after what "
        "they bound.",
        "{latency_p95_s: 0.25}",
        {},
        "`{error_ratio: 0.05, latency_p95_s: 0.5, agent_stale_s: 90}`",
        group="Promises",
    ),
    Variable(
        "mesh_monitoring",
        MONITORING,
        "How the mesh is watched: how often Prometheus asks, how much it keeps, and where Grafana comes from (none by "
        "default). Needs a host in the group mesh_monitoring.",
        "{retention_days: 30, retention_mb: 8192}",
        {},
        "`{}`: every 15 seconds, kept by the size",
        group="Monitoring",
    ),
    Variable(
        "mesh_alerting",
        ALERTING,
        "Who is told of an alert: receivers (slack, pagerduty, email, webhook; what each needs to get in is the secret "
        "`receiver_<name>`), routes by severity and team, the first that matches wins, the team that looks after a "
        "service, who is told that alerting itself is alive, and where the runbooks are.",
        "{receivers: [{name: ops, kind: slack, channel: '#ops'}], routes: [{receiver: ops, severities: [critical]}]}",
        {},
        "`{}`: nobody but the mesh's own record of alerts",
        group="Monitoring",
    ),
    Variable(
        "mesh_update",
        UPDATE,
        "How updates roll: seconds that a new slot must stay ready, seconds it may take to become ready, whether "
        "traffic of our own proves the update and how many requests a second it makes, how many times the p99 before "
        "it the p99 during it may be (reported only), and whether a backup point is made first.",
        "{soak_s: 30}",
        {},
        "`{soak_s: 15, ready_timeout_s: 120, traffic: true, requests_per_second: 20, p99_factor: 2.0, backup: true}`",
        group="Promises",
    ),
    Variable(
        "mesh_verify",
        Fields({"probe_timeout_s": Number(0.1, 120)}),
        "How verification probes.",
        "{probe_timeout_s: 3}",
        {},
        "`{probe_timeout_s: 3}`",
        group="Verification",
    ),
    Variable(
        "mesh_verify_writes",
        Boolean(),
        "Whether verification may write (and delete again) records of its own.",
        "true",
        True,
        group="Verification",
    ),
    Variable(
        "mesh_verify_from",
        Choice(("controller", "cluster")),
        "From where checks look at the mesh: the machine that runs the playbook, or a Job in the cluster, which needs "
        "mesh_kubernetes_verification.",
        "cluster",
        "controller",
        group="Verification",
    ),
    Variable(
        "mesh_kubernetes_namespace",
        LABEL,
        "Namespace of the mesh, which holds nothing else.",
        "ai-mesh",
        default_text="mesh_name",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_kubeconfig",
        Text("the path of a file on the controller", longest=4096),
        "File that says where the cluster's API is and how to log in; it is read and never changed.",
        "~/.kube/acme.yaml",
        default_text="the variable KUBECONFIG of the environment, else ~/.kube/config",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_context",
        Text("the name of a context in the kubeconfig"),
        "Context of the kubeconfig.",
        "acme-prod",
        default_text="the kubeconfig's current one",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_method",
        Choice(("helm", "manifests")),
        "Whether the mesh is a release of Helm, or plain objects that are applied in order; updates by step, scaling "
        "and the others need Helm.",
        "manifests",
        "helm",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_policies",
        Choice(("enforced", "unenforced")),
        "What the cluster's network does with NetworkPolicies; verification fails when it does not do that.",
        "unenforced",
        "enforced",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_timeout_s",
        Integer(60, 7200),
        "Seconds within which a deployment has to be ready.",
        "900",
        600,
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_image_pull_secret",
        OBJECT_NAME,
        "Secret of the namespace with which nodes log in to mesh_image_registry.",
        "registry-login",
        default_text="none",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_storage_class",
        OBJECT_NAME,
        "Storage class of the volumes of PostgreSQL and Redis.",
        "fast",
        default_text="the cluster's default class",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_database",
        DATABASE,
        "PostgreSQL: `bundled` is one server of the mesh's own, `cloudnativepg` a cluster that the operator of that "
        "name runs, `external` a server that is there already (`host`, its port in mesh_postgresql, the `networks` "
        "that it may have its address in, `sslmode`). `storage_gb` is the volume of its data, `backup_gb` that of its "
        "backups.",
        "{kind: external, host: db.acme.example, networks: [192.0.2.0/24], sslmode: require}",
        {},
        "`{kind: bundled}`, storage by the size, twice that for backups",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_cache",
        CACHE,
        "Redis: `bundled` is one server of the mesh's own, `external` one that is there already (`host`, its port in "
        "mesh_redis, the `networks` that it may have its address in, `tls`).",
        "{kind: external, host: redis.acme.example, networks: [192.0.2.0/24]}",
        {},
        "`{kind: bundled}`, storage by the size",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_service_type",
        Choice(("ClusterIP", "NodePort", "LoadBalancer")),
        "Type of the Services of those of the mesh that have exposure edge.",
        "LoadBalancer",
        "ClusterIP",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_ingress",
        INGRESS,
        "Ingress of the services that have exposure edge, the gateway at mesh_domain and the others at their name "
        "before it: its class, the Secret with its certificate, annotations, and the namespace of its controller, "
        "which alone gets in then.",
        "{class: nginx, tls_secret: mesh-tls, namespace: ingress-nginx}",
        default_text="no Ingress",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_verification",
        Fields({"schedule": Schedule(), "networks": NETWORKS}, ("schedule",)),
        "A Job that verifies the mesh from inside the cluster: when by itself (`schedule`, a cron line by the clock of "
        "the cluster, or `manual`: only when mesh_verify_from asks for it), and the networks of the API server, which "
        "it may connect to then and to nothing else.",
        "{schedule: '17 3 * * *'}",
        default_text="no such Job",
        group="Kubernetes",
    ),
    Variable(
        "mesh_kubernetes_monitoring_namespace",
        LABEL,
        "Namespace of the Prometheus that asks the services for their metrics, which gets in then.",
        "monitoring",
        default_text="none: nothing outside asks",
        group="Kubernetes",
    ),
    Variable(
        "mesh_target_version",
        Version(),
        "Release to go to in this run, up or down.",
        '"1.1.0"',
        default_text="mesh_version",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_scale",
        MapOf(SERVICE_PATTERN, SERVICE_RULE, Integer(1, 26), known=SERVICES),
        "Replicas to have from this run on.",
        "{registry: 3}",
        {},
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_drill",
        Choice(("restore", "alerts")),
        "Drill to hold in this run (`playbooks/drill.yml`).",
        "alerts",
        default_text="none",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_drill_profile",
        Choice(("fast", "real")),
        "Whose durations the alert drill takes: `fast` watches with a second Prometheus and Alertmanager at a 60th of "
        "the time and tells nobody, `real` with the mesh's own, which tell whom a real fault would tell.",
        "real",
        "fast",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_drill_fault",
        Choice(DRILL_FAULTS),
        "What the alert drill stops for a while: an exporter, whose absence no caller notices, or one replica of a "
        "service, which is an outage of that service where it has no other.",
        "registry",
        "redis-exporter",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_drill_moment",
        Choice(("worst", "now")),
        "When the disaster of a restore drill comes: `worst` is just before the next WAL segment would be archived, "
        "`now` needs no wait.",
        "now",
        "worst",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_backup_kind",
        Choice(BACKUP_KINDS),
        "Backup to make now (`playbooks/backup.yml`).",
        "full",
        "incremental",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_restore_to",
        RESTORE_TO,
        "What `playbooks/restore.yml` goes back to: the newest state, the end of a backup, or a point in time.",
        "'2026-11-28T10:00:00Z'",
        "latest",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_restore_repository",
        Integer(0, 2),
        "Repository to restore from; 0 takes the first that can be read.",
        "2",
        0,
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_restore_overwrite",
        Text("the mesh's name", longest=64),
        "Confirmation that a restore takes the place of a database that is there: the mesh's name.",
        "acme",
        default_text="none",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_escrow_key",
        Text("the path of a file on the controller", longest=4096),
        "File with the escrow key (an identity of age); `playbooks/restore.yml` then fills the secret store first.",
        "/media/safe/escrow.txt",
        default_text="none",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_escrow_archive",
        Text("the path of a file on the controller", longest=4096),
        "The sealed archive of all secrets that the escrow key opens.",
        "/media/safe/secrets.age",
        default_text="none",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_empty_database",
        Text("the mesh's name", longest=64),
        "Confirmation that a deploy begins with an empty database although its repository has backups: the mesh's "
        "name.",
        "acme",
        default_text="none",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_accept_inventory",
        Boolean(),
        "Take the inventory as it is, even where it lowers a version or undoes a scale.",
        "true",
        False,
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_remove_data",
        Text("the mesh's name", longest=64),
        "Confirmation that `remove` deletes data: the mesh's name.",
        "acme",
        default_text="none",
        group="One-off wishes",
        scope="wish",
    ),
    Variable(
        "mesh_remove_backups",
        Text("the mesh's name", longest=64),
        "Confirmation that `remove` deletes backups too, besides mesh_remove_data: the mesh's name.",
        "acme",
        default_text="none",
        group="One-off wishes",
        scope="wish",
    ),
)
BY_NAME = {variable.name: variable for variable in VARIABLES}
