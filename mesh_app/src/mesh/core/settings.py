"""Settings of one process, read from the environment once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mesh import __version__
from mesh.access.loopback import is_loopback
from mesh.access.tokens import TokenEntry, load_tokens
from mesh.core.secrets import ConfigError, read_secret

PORTS = {"api-gateway": 3000, "registry": 3001, "telemetry": 3002, "policy": 3003, "federation": 3004, "ui": 3005}
SERVICES = tuple(PORTS)
VERIFY_NAMESPACE = "aimesh-verify"
_URL_NAMES = {"api-gateway": "GATEWAY"}
_CALLERS = ("api-gateway", "ui")


@dataclass(frozen=True)
class DatabaseLogin:
    """Where PostgreSQL is and who logs in; the password is read from its file at each new connection."""

    url: str
    password_file: str
    variable: str

    def password(self) -> str:
        return read_secret(self.variable, self.password_file)


@dataclass(frozen=True)
class RedisLogin:
    url: str
    username: str | None
    password_file: str | None

    def password(self) -> str | None:
        if self.password_file is None:
            return None
        return read_secret("MESH_REDIS_PASSWORD_FILE", self.password_file)


@dataclass(frozen=True)
class AlertReceiver:
    """Where the mesh's monitoring tells what fires; the token is read from its file at each use."""

    url: str
    token_file: str

    def token(self) -> str:
        return read_secret("MESH_ALERT_TOKEN_FILE", self.token_file)


@dataclass(frozen=True)
class Settings:
    """Everything one service process is told from outside. Times are seconds, sizes bytes."""

    service: str
    mesh: str
    release: str
    instance: str
    bind: str
    port: int
    auth: bool
    write: DatabaseLogin
    read: DatabaseLogin
    pool_min: int
    pool_max: int
    statement_cache: int
    redis: RedisLogin
    urls: dict[str, str]
    tokens: tuple[TokenEntry, ...]
    service_token: str | None = field(repr=False)
    session_key: str | None = field(repr=False)
    federation_key: str | None = field(repr=False)
    jwt_key_files: tuple[str, ...]
    encryption_key_files: tuple[str, ...]
    oidc_issuer: str | None
    oidc_audience: str | None
    oidc_role_claim: str
    rate_limit: int
    public_url: str
    mcp_registry_file: str | None
    agent_stale_after: float
    peer_stale_after: float
    sample_retention_days: int
    peers_file: str | None
    policy_file: str | None
    federation_interval: float
    drain: float
    otlp_endpoint: str | None
    alerts: AlertReceiver | None
    log_level: str
    body_limit: int = 1024 * 1024


def load_settings(service: str, env: Mapping[str, str]) -> Settings:
    """Settings of `service`; raises ConfigError with one sentence that names the variable."""
    bind = env.get("MESH_BIND", "127.0.0.1")
    auth = _choice(env, "MESH_AUTH", "on", ("on", "off")) == "on"
    if not auth and not is_loopback(bind):
        raise ConfigError(f"MESH_AUTH=off is refused with MESH_BIND={bind}; set MESH_AUTH=on, or bind to 127.0.0.1.")
    write = database_login(env, "MESH_DATABASE")
    read_url = env.get("MESH_DATABASE_READ_URL") or write.url
    pool_min, pool_max = _integer(env, "MESH_DB_POOL_MIN", 1, 0), _integer(env, "MESH_DB_POOL_MAX", 8, 1)
    if pool_min > pool_max:
        raise ConfigError(f"MESH_DB_POOL_MIN is {pool_min}, more than MESH_DB_POOL_MAX ({pool_max}); lower it.")
    urls = {name: _http_url(env, url_variable(name), f"http://127.0.0.1:{port}") for name, port in PORTS.items()}
    oidc_issuer, oidc_audience = _oidc(env)
    otlp = "OTEL_EXPORTER_OTLP_ENDPOINT"
    settings = Settings(
        service=service,
        mesh=env.get("MESH_NAME") or "mesh",
        release=env.get("MESH_RELEASE") or __version__,
        instance=env.get("MESH_INSTANCE") or f"{service}@a",
        bind=bind,
        port=_integer(env, "MESH_PORT", PORTS[service], 1, 65535),
        auth=auth,
        write=write,
        read=DatabaseLogin(_database_url("MESH_DATABASE_READ_URL", read_url), write.password_file, write.variable),
        pool_min=pool_min,
        pool_max=pool_max,
        statement_cache=_integer(env, "MESH_DB_STATEMENT_CACHE", 100, 0),
        redis=redis_login(env),
        urls=urls,
        tokens=load_tokens(env.get("MESH_TOKENS_FILE")) if auth else (),
        service_token=_secret(env, "MESH_SERVICE_TOKEN_FILE", required=auth and service in _CALLERS),
        session_key=_secret(env, "MESH_SESSION_KEY_FILE", required=auth and service == "ui"),
        federation_key=_secret(env, "MESH_FEDERATION_KEY_FILE", required=service == "federation"),
        jwt_key_files=_files(env, "MESH_JWT_KEY_FILES"),
        encryption_key_files=_files(env, "MESH_ENCRYPTION_KEY_FILES"),
        oidc_issuer=oidc_issuer,
        oidc_audience=oidc_audience,
        oidc_role_claim=env.get("MESH_OIDC_ROLE_CLAIM") or "roles",
        rate_limit=_integer(env, "MESH_RATE_LIMIT_PER_MINUTE", 0, 0),
        public_url=(env.get("MESH_PUBLIC_URL") or urls["api-gateway"]).rstrip("/"),
        mcp_registry_file=env.get("MESH_MCP_REGISTRY_FILE") or None,
        agent_stale_after=_decimal(env, "MESH_AGENT_STALE_SECONDS", 90.0),
        peer_stale_after=_decimal(env, "MESH_PEER_STALE_SECONDS", 300.0),
        sample_retention_days=_integer(env, "MESH_SAMPLE_RETENTION_DAYS", 30, 1, 3650),
        peers_file=env.get("MESH_PEERS_FILE") or None,
        policy_file=_policy_file(env, service),
        federation_interval=_decimal(env, "MESH_FEDERATION_INTERVAL_SECONDS", 5.0),
        drain=_decimal(env, "MESH_DRAIN_SECONDS", 10.0),
        otlp_endpoint=_http_url(env, otlp, "") if env.get(otlp) else None,
        alerts=alert_receiver(env),
        log_level=_choice(env, "MESH_LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
    )
    settings.redis.password()
    return settings


def database_login(env: Mapping[str, str], prefix: str) -> DatabaseLogin:
    """The login that `<prefix>_URL` and `<prefix>_PASSWORD_FILE` describe; reads the password once to prove it can."""
    url = _database_url(f"{prefix}_URL", env.get(f"{prefix}_URL"))
    login = DatabaseLogin(url, env.get(f"{prefix}_PASSWORD_FILE", ""), f"{prefix}_PASSWORD_FILE")
    login.password()
    return login


def redis_login(env: Mapping[str, str]) -> RedisLogin:
    url = env.get("MESH_REDIS_URL", "")
    if not url:
        raise ConfigError("MESH_REDIS_URL is not set; give redis://USER@HOST:PORT/0.")
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ConfigError(
            f"MESH_REDIS_URL is not a Redis URL (found scheme {parts.scheme!r}); give redis://USER@HOST:PORT/0."
        )
    if parts.password:
        raise ConfigError(
            "MESH_REDIS_URL carries a password; put it into the file that MESH_REDIS_PASSWORD_FILE names."
        )
    password_file = env.get("MESH_REDIS_PASSWORD_FILE") or None
    if parts.username and not password_file:
        raise ConfigError(
            "MESH_REDIS_URL names a user but MESH_REDIS_PASSWORD_FILE is not set; point it to the password's file."
        )
    return RedisLogin(url, parts.username, password_file)


def alert_receiver(env: Mapping[str, str]) -> AlertReceiver | None:
    """None where monitoring is not part of the mesh; reads the token once to prove it can."""
    if not env.get("MESH_ALERTS_URL"):
        return None
    receiver = AlertReceiver(_http_url(env, "MESH_ALERTS_URL", ""), env.get("MESH_ALERT_TOKEN_FILE", ""))
    receiver.token()
    return receiver


def _database_url(variable: str, url: str | None) -> str:
    if not url:
        raise ConfigError(f"{variable} is not set; give postgresql://LOGIN@HOST:PORT/mesh_registry.")
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.username:
        raise ConfigError(
            f"{variable} must be postgresql://LOGIN@HOST:PORT/mesh_registry (found scheme {parts.scheme!r})."
        )
    if parts.password:
        raise ConfigError(
            f"{variable} carries a password; put it into the file that the matching _PASSWORD_FILE variable names."
        )
    return url


def url_variable(service: str) -> str:
    return f"MESH_URL_{_URL_NAMES.get(service, service.upper())}"


def _http_url(env: Mapping[str, str], variable: str, default: str) -> str:
    """Without a slash at the end."""
    url = (env.get(variable) or default).rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigError(f"{variable} is {url!r}; give an http:// or https:// URL.")
    return url


def _oidc(env: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Issuer and audience, both or neither: a token for another audience is not for us."""
    issuer, audience = env.get("MESH_OIDC_ISSUER") or None, env.get("MESH_OIDC_AUDIENCE") or None
    if issuer is None:
        return None, None
    parts = urlsplit(issuer)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ConfigError(f"MESH_OIDC_ISSUER is {issuer!r}; give an https:// URL.")
    if audience is None:
        raise ConfigError("MESH_OIDC_AUDIENCE is not set; with MESH_OIDC_ISSUER it is the audience tokens must name.")
    return issuer, audience


def _policy_file(env: Mapping[str, str], service: str) -> str | None:
    path = env.get("MESH_POLICY_FILE") or None
    if service == "policy" and path is None:
        raise ConfigError("MESH_POLICY_FILE is not set; point it to the JSON file with the policy rules.")
    return path


def _files(env: Mapping[str, str], variable: str) -> tuple[str, ...]:
    """Paths of secret files, the current one first, with colons between them; each is read once to prove it can."""
    paths = tuple(path for path in env.get(variable, "").split(":") if path)
    for path in paths:
        read_secret(variable, path)
    return paths


def _secret(env: Mapping[str, str], variable: str, *, required: bool) -> str | None:
    path = env.get(variable)
    return read_secret(variable, path) if path or required else None


def _choice(env: Mapping[str, str], variable: str, default: str, allowed: tuple[str, ...]) -> str:
    value = env.get(variable) or default
    if value not in allowed:
        raise ConfigError(f"{variable} is {value!r}; allowed: {', '.join(allowed)}.")
    return value


def _integer(env: Mapping[str, str], variable: str, default: int, low: int, high: int = 2**31) -> int:
    text = env.get(variable) or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ConfigError(f"{variable} is {text!r}; give a whole number of at least {low}.")
    return int(text)


def _decimal(env: Mapping[str, str], variable: str, default: float) -> float:
    text = env.get(variable) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86400:
        raise ConfigError(f"{variable} is {text!r}; give seconds between 0 and 86400.")
    return value
