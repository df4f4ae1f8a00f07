"""What callers prove themselves with: one look at a credential's form says which check it gets."""

from __future__ import annotations

from starlette.requests import Request

from mesh.access.api_keys import PREFIX, ApiKeys
from mesh.access.identity import Identity, unauthorized
from mesh.access.jose import Parts, take_apart
from mesh.access.mesh_jwt import KeyRing, MeshTokens
from mesh.access.tokens import OpaqueTokens, reference_of
from mesh.core.settings import Settings
from mesh.storage.database import Database

_UNKNOWN = "This bearer token is not known here; ask the operator for a current one."


class Credentials:
    """The authenticator for callers from outside, and the check behind the UI's login."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._opaque = OpaqueTokens(settings.tokens)
        self._keys = ApiKeys(database)
        ring = KeyRing(settings.jwt_key_files)
        self._own = MeshTokens(settings.mesh, ring) if ring else None
        self._foreign = None
        if settings.oidc_issuer and settings.oidc_audience:
            from mesh.access.oidc import OidcTokens

            self._foreign = OidcTokens(settings.oidc_issuer, settings.oidc_audience, settings.oidc_role_claim)

    async def __call__(self, request: Request) -> Identity | None:
        given = request.headers.getlist("authorization")
        key = request.headers.getlist("x-api-key")
        if len(given) + len(key) > 1:
            raise unauthorized("Send one credential: either a bearer token or X-API-Key, and only once.")
        if key:
            return await self._keys.verify(key[0].strip())
        scheme, _, credential = (given[0] if given else "").partition(" ")
        if scheme.lower() != "bearer" or not credential.strip():
            return None
        return await self.verify(credential.strip())

    async def verify(self, credential: str) -> Identity:
        """Raises ProblemError 401 for a bad credential, 403 for one without a role, 503 when it cannot tell."""
        entry = self._opaque.find(credential)
        if entry is not None:
            return Identity(entry.subject, entry.role, "token", reference_of(entry))
        if credential.startswith(PREFIX):
            return await self._keys.verify(credential)
        parts = take_apart(credential)
        if parts is None:
            raise unauthorized(_UNKNOWN)
        return await self._verify_jwt(parts)

    async def _verify_jwt(self, parts: Parts) -> Identity:
        # Who verifies follows from the algorithm, and keys of the two kinds never meet.
        if parts.alg == "HS256" and self._own is not None:
            return self._own.verify(parts)
        if parts.alg in ("RS256", "ES256") and self._foreign is not None:
            return await self._foreign.verify(parts)
        raise unauthorized(_UNKNOWN)

    async def stands(self, identity: Identity) -> bool:
        """Whether the credential behind an earlier identity has not been withdrawn; raises ProblemError 503."""
        if identity.kind == "token":
            return self._opaque.stands(identity.reference, identity.subject, identity.role)
        if identity.kind == "api-key":
            return await self._keys.stands(identity.reference, identity.subject, identity.role)
        if identity.kind == "jwt":
            return self._own is not None and self._own.stands(identity.reference)
        return identity.kind == "oidc" and self._foreign is not None
