"""What an agent is called with: stored encrypted, shown to nobody but a service or an admin that asks for it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from starlette.responses import Response

from mesh.core.log import log
from mesh.core.runtime import Runtime
from mesh.registry.credential_api import DELETE, GET, PUT, REVEAL, Credential, NewCredential, Reveal, place_of
from mesh.storage.encryption import VARIABLE, KeyRing, SealError
from mesh.web.http import Call, Endpoint, decode
from mesh.web.paging import iso, parse_uuid
from mesh.web.problem import ProblemError, json_response

_PUT = """
    INSERT INTO agent_credentials (agent_id, scheme, header, secret, key_id, updated_by)
    SELECT id, $2, $3, $4, $5, $6 FROM agents WHERE origin = '' AND id = $1 AND deleted_at IS NULL FOR SHARE
    ON CONFLICT (agent_id) DO UPDATE SET scheme = $2, header = $3, secret = $4, key_id = $5, updated_by = $6,
        updated_at = clock_timestamp()
    RETURNING *
"""
_GET = "SELECT * FROM agent_credentials WHERE agent_id = $1"
_DELETE = "DELETE FROM agent_credentials WHERE agent_id = $1"


def credential_endpoints(runtime: Runtime) -> list[Endpoint]:
    credentials = _Credentials(runtime)
    return [
        PUT.by(credentials.put),
        GET.by(credentials.get),
        DELETE.by(credentials.delete),
        REVEAL.by(credentials.reveal),
    ]


class _Credentials:
    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._ring = KeyRing.from_files(runtime.settings.encryption_key_files)

    async def put(self, call: Call) -> Response:
        ring, agent_id = self._keys(), parse_uuid(call.path("id"))
        new = await call.decode(NewCredential)
        if (new.scheme == "header") != (new.header is not None):
            raise ProblemError(422, "header names the header of the scheme 'header': give it there and only there.")
        sealed = ring.seal(new.secret, place_of(agent_id))
        subject = call.identity.subject
        row = await self._database.write.fetchrow(_PUT, agent_id, new.scheme, new.header, sealed, ring.current, subject)
        if row is None:
            raise ProblemError(404, f"There is no agent with the id {agent_id}.")
        return json_response(_shown(row))

    async def get(self, call: Call) -> Response:
        self._keys()
        return json_response(_shown(await self._row(call)))

    async def delete(self, call: Call) -> Response:
        self._keys()
        agent_id = parse_uuid(call.path("id"))
        if not await self._database.write.execute(_DELETE, agent_id):
            raise _missing(agent_id)
        return Response(status_code=204)

    async def reveal(self, call: Call) -> Response:
        ring = self._keys()
        body = await call.body()
        reason = decode(body, Reveal).reason if body else ""
        row = await self._row(call)
        try:
            secret = ring.open(row["secret"], place_of(row["agent_id"]))
        except SealError as error:
            log.error("credential cannot be opened", extra={"fields": {"error": str(error)}})
            raise ProblemError(503, str(error)) from None
        fields = {"agent": str(row["agent_id"]), "subject": call.identity.subject, "reason": reason}
        log.info("credential revealed", extra={"fields": fields})
        shown = msgspec.structs.replace(_shown(row), secret=secret)
        return json_response(shown, headers={"Cache-Control": "no-store"})

    async def _row(self, call: Call) -> Any:
        agent_id = parse_uuid(call.path("id"))
        row = await self._database.write.fetchrow(_GET, agent_id)
        if row is None:
            raise _missing(agent_id)
        return row

    def _keys(self) -> KeyRing:
        if self._ring is None:
            raise ProblemError(503, f"No key to encrypt credentials with; set {VARIABLE} for the registry.")
        return self._ring


def _shown(row: Any) -> Credential:
    return Credential(
        str(row["agent_id"]),
        row["scheme"],
        row["header"],
        row["key_id"],
        iso(row["updated_at"]) or "",
        row["updated_by"],
    )


def _missing(agent_id: UUID) -> ProblemError:
    return ProblemError(404, f"There is no credential of an agent with the id {agent_id}.")
