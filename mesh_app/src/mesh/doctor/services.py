"""Whom this mesh talks to: its own services, its peers, an OpenID provider."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import aiohttp
import msgspec

from mesh.core.secrets import ConfigError
from mesh.core.settings import SERVICES, alert_receiver, url_variable
from mesh.doctor.finding import FAIL, OK, WARN, Check, Finding

_TIMEOUT = aiohttp.ClientTimeout(total=3.0)
_LIMIT = 4 * 1024 * 1024
"""Bytes of an answer that are looked at."""


def checks(env: Mapping[str, str]) -> list[Check]:
    named = [(service, url_variable(service)) for service in SERVICES]
    return [
        *(Check(name, partial(_service, name, key, env[key])) for name, key in named if env.get(key)),
        Check("peers", partial(_peers, env)),
        *([Check("openid provider", partial(_provider, env))] if env.get("MESH_OIDC_ISSUER") else []),
        Check("alert receiver", partial(_alerts, env)),
    ]


async def _ask(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Status and the beginning of the body; raises ConfigError with the reason."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _LIMIT:
                    break
            return response.status, body
    except TimeoutError:
        raise ConfigError(f"{url} did not answer in {_TIMEOUT.total:g} s") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise ConfigError(f"{url} cannot be reached ({error})") from None


class _Health(msgspec.Struct):
    status: str = ""
    service: str = ""
    version: str = ""


async def _service(name: str, variable: str, url: str) -> list[Finding]:
    try:
        status, body = await _ask(f"{url.rstrip('/')}/health")
    except ConfigError as error:
        return [Finding(FAIL, name, f"{error}; start {name}, or correct {variable}.")]
    try:
        health = msgspec.json.decode(body, type=_Health)
    except msgspec.MsgspecError:
        health = _Health()
    if health.service != name:
        return [Finding(FAIL, name, f"{url} is not {name} (it says {health.service!r}); correct {variable}.")]
    if status != 200:
        return [Finding(FAIL, name, f"{url} is not ready; run mesh doctor in its environment, or read its log.")]
    return [Finding(OK, name, f"ready, release {health.version}")]


async def _peers(env: Mapping[str, str]) -> list[Finding]:
    from mesh.federation.peers import load_peers

    peers = load_peers(env.get("MESH_PEERS_FILE") or None, env.get("MESH_NAME") or "mesh")
    findings = [Finding(OK, "peers", f"{len(peers)} configured")]
    for peer in peers:
        try:
            status, _ = await _ask(f"{peer.url.rstrip('/')}/health")
            level, text = (OK, "ready") if status == 200 else (WARN, f"answers {status}; ask its operator.")
        except ConfigError as error:
            level, text = WARN, f"{error}; ask its operator, or correct MESH_PEERS_FILE."
        findings.append(Finding(level, f"peer {peer.name}", text))
    return findings


async def _provider(env: Mapping[str, str]) -> list[Finding]:
    from mesh.access.oidc import keys_of

    issuer = env["MESH_OIDC_ISSUER"]
    if not env.get("MESH_OIDC_AUDIENCE"):
        raise ConfigError("MESH_OIDC_AUDIENCE is not set; name the audience that tokens for this mesh carry.")
    try:
        keys = await keys_of(issuer)
    except TimeoutError:
        raise ConfigError(f"{issuer} did not answer in time; look at the provider, or at MESH_OIDC_ISSUER.") from None
    except ValueError as error:
        raise ConfigError(f"{issuer}: {error}; look at the provider, or at MESH_OIDC_ISSUER.") from None
    return [Finding(OK, "openid provider", f"{issuer} has {len(keys)} keys")]


async def _alerts(env: Mapping[str, str]) -> list[Finding]:
    from mesh.ui.alerts import SILENT_AFTER, Report

    receiver = alert_receiver(env)
    if receiver is None:
        return []
    url = f"{receiver.url}/alerts"
    try:
        status, body = await _ask(url, {"Authorization": f"Bearer {receiver.token()}"})
    except ConfigError as error:
        raise ConfigError(f"{error}; start the alert receiver, or correct MESH_ALERTS_URL.") from None
    if status == 401:
        raise ConfigError(f"{url} refuses the token in MESH_ALERT_TOKEN_FILE; deploy both together.")
    try:
        report = msgspec.json.decode(body, type=Report)
    except msgspec.DecodeError:
        raise ConfigError(f"{url} is no alert receiver (status {status}); correct MESH_ALERTS_URL.") from None
    if report.silent:
        text = f"no Watchdog has arrived for {SILENT_AFTER / 60:g} minutes; look at Prometheus and Alertmanager."
        return [Finding(WARN, "alert receiver", text)]
    return [Finding(OK, "alert receiver", f"takes the token; alerts that fire: {len(report.active)}")]
