"""Pulls the agents of all peers, every few seconds, in one process of the mesh at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import msgspec

from mesh.core.cache import Lease
from mesh.core.log import log
from mesh.core.problem import ProblemError
from mesh.core.runtime import Runtime
from mesh.core.upstream import Upstreams
from mesh.federation.peers import Peer
from mesh.federation.records import ExportPage, FederationRepository, accept
from mesh.federation.signature import HEADER, Signer

LEASE_SECONDS, ROUND_SECONDS = 30.0, 24.0
PAGE_SIZE, MAXIMUM_PAGES = 200, 50
MAXIMUM_BACKOFF = 60.0


class Puller:
    def __init__(
        self,
        runtime: Runtime,
        peers: Sequence[Peer],
        repository: FederationRepository,
        upstreams: Upstreams,
        signer: Signer,
    ) -> None:
        self._interval = max(runtime.settings.federation_interval, 0.1)
        self._peers = peers
        self._repository = repository
        self._upstreams = upstreams
        self._signer = signer
        self._lease = Lease(runtime.cache, "federation", f"{runtime.settings.instance}/{uuid4().hex}", LEASE_SECONDS)
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        runtime.background.append(self.run)
        runtime.on_stop.append(self._lease.give_back)

    async def run(self) -> None:
        """One round per interval while this process holds the lease; a failing peer or store only costs its round."""
        while True:
            try:
                if await self._lease.take():
                    async with asyncio.timeout(ROUND_SECONDS):
                        await asyncio.gather(*(self._visit(peer) for peer in self._peers))
            except (ProblemError, TimeoutError) as error:
                log.warning("federation round cut short", extra={"fields": {"error": str(error) or "out of time"}})
            except Exception:
                log.exception("federation round failed")
            await asyncio.sleep(self._interval)

    async def _visit(self, peer: Peer) -> None:
        if time.monotonic() < self._not_before.get(peer.name, 0.0):
            return
        try:
            await self._pull(peer)
        except (ProblemError, ValueError) as error:
            failures = self._failures.get(peer.name, 0) + 1
            self._failures[peer.name] = failures
            self._not_before[peer.name] = time.monotonic() + min(
                self._interval * 2 ** min(failures, 10), MAXIMUM_BACKOFF
            )
            if failures == 1:
                log.warning("peer failed", extra={"fields": {"peer": peer.name, "error": str(error)}})
            await self._repository.failed(peer, str(error))
        else:
            if self._failures.pop(peer.name, 0):
                log.info("peer answers again", extra={"fields": {"peer": peer.name}})

    async def _pull(self, peer: Peer) -> None:
        """Raises ProblemError or ValueError with the reason when the peer or the store fails."""
        cursor = await self._repository.cursor_of(peer)
        for _ in range(MAXIMUM_PAGES):
            page = await self._page(peer, cursor)
            records, refused = accept(page.items, peer)
            if refused:
                log.warning("records of a peer refused", extra={"fields": {"peer": peer.name, "refused": refused}})
            await self._repository.store(peer, records, refused, page.next_cursor)
            cursor = page.next_cursor
            if not page.more:
                return

    async def _page(self, peer: Peer, cursor: str) -> ExportPage:
        target = (
            f"{urlsplit(peer.url).path.rstrip('/')}/api/v1/export?{urlencode({'limit': PAGE_SIZE, 'cursor': cursor})}"
        )
        parts = urlsplit(peer.url)
        header = self._signer.sign_request("GET", target)
        reply = await self._upstreams.fetch(
            f"peer {peer.name}", "GET", f"{parts.scheme}://{parts.netloc}{target}", headers={HEADER: header}
        )
        if reply.status != 200:
            raise ValueError(f"peer {peer.name} answered {reply.status}: {_detail(reply.body)}")
        signed_by = self._signer.check_response(reply.headers.get(HEADER, ""), header, reply.body)
        if signed_by != peer.name:
            raise ValueError(f"peer {peer.name} calls itself {signed_by!r}; correct the name in MESH_PEERS_FILE")
        try:
            return msgspec.json.decode(reply.body, type=ExportPage)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValueError(f"the answer of peer {peer.name} does not fit: {error}") from None


def _detail(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body, type=dict[str, object]).get("detail", "no explanation"))[:300]
    except (msgspec.MsgspecError, RecursionError):
        return "no explanation"
