"""Bearer tokens of an OpenID provider: keys by discovery and JWKS, RS256 and ES256 only."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mesh.access.identity import Identity, unauthorized
from mesh.access.jose import Parts, fit_subject
from mesh.access.loopback import is_loopback
from mesh.access.tokens import GIVEN_ROLES
from mesh.core.log import log
from mesh.web.problem import ProblemError

ALGORITHMS = ("RS256", "ES256")
LEEWAY = 30
"""Seconds that the provider's clock may differ from ours."""
PAUSE, PAUSE_WITHOUT_KEYS = 30.0, 5.0
"""Seconds between two questions to the provider, whatever tokens arrive."""
_FRESH_FOR = 3600.0
_ANSWER_LIMIT = 256 * 1024
_TIMEOUT = 5.0
_MINIMUM_RSA_BITS = 2048


class ProviderKeys:
    """The provider's signing keys. Once known they serve on while the provider is down."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._keys: dict[tuple[str, str], Any] = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._error = "it has not answered yet"

    async def find(self, kid: str, alg: str) -> Any:
        """The key, None for one that the provider does not have; raises ProblemError 503 while no key is known."""
        key, now = self._keys.get((kid, alg)), time.monotonic()
        if key is None or now - self._fetched_at > _FRESH_FOR:
            asking = self._ask(now)
            if key is None and asking is not None:
                await asyncio.shield(asking)
                key = self._keys.get((kid, alg))
        if not self._keys:
            raise ProblemError(
                503,
                f"The OpenID provider {self._issuer} gave no keys to check this token by: {self._error}.",
                headers={"Retry-After": f"{PAUSE_WITHOUT_KEYS:.0f}"},
            )
        return key

    def _ask(self, now: float) -> asyncio.Task[None] | None:
        """The question under way, a new one when the last is long enough ago, else None."""
        if self._asking is not None and not self._asking.done():
            return self._asking
        if now - self._asked_at < (PAUSE if self._keys else PAUSE_WITHOUT_KEYS):
            return None
        self._asked_at = now
        self._asking = asyncio.create_task(self._fetch())
        return self._asking

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                keys = await keys_of(self._issuer)
        except TimeoutError:
            self._error = "it did not answer in time"
        except ValueError as error:
            self._error = str(error)
        else:
            self._keys, self._fetched_at = keys, time.monotonic()
            log.info("OpenID keys", extra={"fields": {"issuer": self._issuer, "kids": [kid for kid, _ in keys]}})
            return
        log.warning("OpenID provider", extra={"fields": {"issuer": self._issuer, "error": self._error}})


async def keys_of(issuer: str) -> dict[tuple[str, str], Any]:
    """Keys by kid and algorithm; raises ValueError with the reason."""
    import aiohttp

    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            about = await _get(session, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if about.get("issuer") != issuer:
                raise ValueError("its discovery document names another issuer; MESH_OIDC_ISSUER must be the same text")
            found = await _get(session, str(about.get("jwks_uri")))
    except aiohttp.ClientError as error:
        raise ValueError(f"it cannot be reached ({error})") from None
    listed = found.get("keys")
    usable = [usable_key(entry) for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    keys = dict(filter(None, usable))
    if not keys:
        raise ValueError(f"its key set has no signing key with a kid for {' or '.join(ALGORITHMS)}")
    return keys


async def _get(session: Any, url: str) -> dict[str, Any]:
    if not safe_url(url):
        raise ValueError(f"it names {url[:200]!r}, which is not https://")
    body = b""
    async with session.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise ValueError(f"{url} answered {response.status}")
        async for chunk in response.content.iter_chunked(65536):
            body += chunk
            if len(body) > _ANSWER_LIMIT:
                raise ValueError(f"{url} answered with more than {_ANSWER_LIMIT} bytes")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ValueError(f"{url} did not answer with a JSON object") from None


def safe_url(url: str) -> bool:
    """Whether keys may come from there: https, or this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def usable_key(entry: dict[str, Any]) -> tuple[tuple[str, str], Any] | None:
    """((kid, algorithm), key) of one JWK, None for one that is not for our signatures."""
    import jwt

    alg = {("RSA", None): "RS256", ("EC", "P-256"): "ES256"}.get((str(entry.get("kty")), entry.get("crv")))
    kid = entry.get("kid")
    if alg is None or not isinstance(kid, str) or entry.get("use", "sig") != "sig" or entry.get("alg", alg) != alg:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm=alg)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return (
        None if getattr(key.key, "key_size", 0) < (_MINIMUM_RSA_BITS if alg == "RS256" else 256) else ((kid, alg), key)
    )


class OidcTokens:
    def __init__(self, issuer: str, audience: str, role_claim: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._role_claim = role_claim
        self._keys = ProviderKeys(issuer)

    async def verify(self, parts: Parts) -> Identity:
        """Raises ProblemError 401 for a bad token, 403 for a good one without a role, 503 while no key is known."""
        import jwt

        key = await self._keys.find(parts.kid, parts.alg)
        if key is None:
            raise unauthorized("This token is signed by no key of the OpenID provider; log in there again.")
        try:
            claims = jwt.decode(
                parts.text,
                key,
                algorithms=[parts.alg],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["iss", "aud", "sub", "exp"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise unauthorized(f"This token of the OpenID provider does not hold: {_reason(error)}.") from None
        if not fit_subject(claims["sub"]):
            raise unauthorized("The subject of this token is not 1 to 255 printable ASCII characters.")
        role = role_in(claims, self._role_claim)
        if role is None:
            raise ProblemError(
                403,
                f"This token is genuine but its claim {self._role_claim!r} names none of the roles "
                f"{', '.join(GIVEN_ROLES)}; have one assigned at the OpenID provider.",
            )
        return Identity(claims["sub"], role, "oidc", parts.kid, float(claims["exp"]))


def _reason(error: Exception) -> str:
    return str(error).rstrip(".")[:200] if type(error).__module__.startswith("jwt") else "it cannot be read"


def role_in(claims: dict[str, Any], path: str) -> str | None:
    """The most powerful role that the claim names, as a list or as words; `path` may lead into objects by dots."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return next((role for role in GIVEN_ROLES if role in words), None)
