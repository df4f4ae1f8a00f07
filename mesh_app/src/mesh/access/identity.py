"""Who calls, and whether they may: a list of authenticators, each of which knows one kind of credential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from urllib.parse import urlsplit

from starlette.requests import Request

from mesh.access.loopback import is_loopback
from mesh.access.tokens import ROLES
from mesh.web.problem import ProblemError

SUBJECT_HEADER = "x-mesh-subject"
ROLE_HEADER = "x-mesh-role"
IDENTITY_KEY = "mesh.identity"
"""Where a request's scope says for the log who calls, also when it is refused."""


class Access(Enum):
    """What an endpoint asks of its caller; the value lists the roles that may use it."""

    OPEN = ()
    READ = ROLES
    WRITE = ("service", "verify", "admin", "operator")
    PURGE = ("verify", "admin")
    REVEAL = ("service", "admin")
    PEER = ("peer", "admin")


@dataclass(frozen=True)
class Identity:
    """Who a request acts for, and what proved it.

    `kind` is token, jwt, oidc, api-key, service, peer or none; `reference` finds the credential again, without its
    secret; `expires` is its end in Unix time; `via` is the service that speaks for the subject.
    """

    subject: str
    role: str
    kind: str = "none"
    reference: str = ""
    expires: float | None = None
    via: str | None = None


ANONYMOUS = Identity("anonymous", "admin")
"""The caller where MESH_AUTH is off, which only a loopback bind allows."""


class Authenticator(Protocol):
    """The identity that a request proves, None without such a credential; raises ProblemError 401 for a bad one."""

    async def __call__(self, request: Request) -> Identity | None: ...


def unauthorized(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": 'Bearer realm="aimesh"'})


def _refuse_other_sites(request: Request) -> None:
    """Raises ProblemError 403 for what a web page elsewhere makes a browser on this machine send.

    Without authentication, the loopback bind keeps other machines out but not their pages in a local browser.
    """
    headers = request.headers
    named = [f"//{headers['host']}"] if "host" in headers else []
    named += [headers["origin"]] if "origin" in headers else []
    if not all(is_loopback(_hostname(place)) for place in named):
        raise ProblemError(
            403,
            "With MESH_AUTH off only calls to localhost from localhost are answered; call http://127.0.0.1, "
            "or set mesh_auth: on.",
        )


def _hostname(place: str) -> str:
    try:
        return urlsplit(place).hostname or ""
    except ValueError:
        return ""


class Gatekeeper:
    """Applies the authenticators and the access rule of an endpoint."""

    def __init__(self, *, required: bool, authenticators: Sequence[Authenticator]) -> None:
        self._required = required
        self._authenticators = tuple(authenticators)

    async def admit(self, request: Request, access: Access) -> Identity:
        """The identity to act for. Raises ProblemError 401 or 403, which say what to do."""
        if not self._required and access is not Access.PEER:
            _refuse_other_sites(request)
            return ANONYMOUS
        if access is Access.OPEN:
            return ANONYMOUS
        identity = await self._authenticate(request)
        if identity is None:
            raise unauthorized(
                "Authentication is required; send 'Authorization: Bearer <token>' or 'X-API-Key: <key>'."
            )
        request.scope[IDENTITY_KEY] = identity
        identity = request.scope[IDENTITY_KEY] = self._on_behalf_of(request, identity)
        if identity.role not in access.value:
            allowed = ", ".join(access.value)
            raise ProblemError(
                403, f"Role {identity.role!r} may not do this; use a token with one of the roles: {allowed}."
            )
        return identity

    async def _authenticate(self, request: Request) -> Identity | None:
        for authenticator in self._authenticators:
            identity = await authenticator(request)
            if identity is not None:
                return identity
        return None

    def _on_behalf_of(self, request: Request, identity: Identity) -> Identity:
        """A service may act for the caller it has authenticated itself; nobody else may name another subject."""
        subject, role = request.headers.get(SUBJECT_HEADER), request.headers.get(ROLE_HEADER)
        if subject is None and role is None:
            return identity
        if identity.role != "service":
            raise ProblemError(
                403, "Only the mesh's own services may set X-Mesh-Subject and X-Mesh-Role; leave these headers out."
            )
        if not subject or role not in ROLES:
            raise ProblemError(400, "X-Mesh-Subject and X-Mesh-Role must be sent together, with a known role.")
        return Identity(subject, role, kind="service", reference=identity.reference, via=identity.subject)
