"""Pulls the agents of all peers, every few seconds, in one process of the mesh at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from secrets import SystemRandom, token_hex
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import msgspec

from mesh.core.log import log
from mesh.core.runtime import Runtime
from mesh.federation.peers import Peer
from mesh.federation.records import ExportPage, accept, printable
from mesh.federation.repository import FederationRepository
from mesh.federation.signature import HEADER, Signer
from mesh.storage.cache import Lease
from mesh.web.problem import ProblemError
from mesh.web.upstream import Reply, Upstreams

LEASE_SECONDS, VISIT_SECONDS, RENEWAL_SECONDS, LOOK_SECONDS = 30.0, 20.0, 3.0, 0.3
PAGE_SIZE, MAXIMUM_PAGES = 200, 50
MAXIMUM_BACKOFF = 60.0
_REASON = 1000
"""Characters."""


def pause_after(failures: int, interval: float, jitter: float) -> float:
    """Seconds to the next visit: doubled with each failure in a row up to a bound, `jitter` (0.8 to 1.2) times."""
    if not failures:
        return interval
    return min(interval * 2.0 ** min(failures, 10), max(MAXIMUM_BACKOFF, interval)) * jitter


class Puller:
    """One task renews the lease, one follows each peer, so that a peer which hangs holds up nobody."""

    def __init__(
        self,
        runtime: Runtime,
        peers: Sequence[Peer],
        repository: FederationRepository,
        upstreams: Upstreams,
        signer: Signer,
    ) -> None:
        self._interval = max(runtime.settings.federation_interval, 0.1)
        self._repository = repository
        self._upstreams = upstreams
        self._signer = signer
        self._lease = Lease(runtime.cache, "federation", f"{runtime.settings.instance}/{uuid4().hex}", LEASE_SECONDS)
        self._may_start_until = 0.0
        runtime.background.append(self._hold)
        runtime.background += [partial(self._follow, peer) for peer in peers]
        runtime.on_stop.append(self._lease.give_back)

    async def _hold(self) -> None:
        """Takes the lease again and again. A visit starts only when it ends before the lease does."""
        while True:
            asked = time.monotonic()
            try:
                if await self._lease.take():
                    self._may_start_until = asked + LEASE_SECONDS - VISIT_SECONDS
            except ProblemError as error:
                log.warning("federation has no lease", extra={"fields": {"error": error.detail}})
            await asyncio.sleep(min(self._interval, RENEWAL_SECONDS))

    async def _follow(self, peer: Peer) -> None:
        """One visit per interval while this process holds the lease; a failing peer or store only costs its visit."""
        failures = 0
        while True:
            if time.monotonic() >= self._may_start_until:
                # Not a whole interval: the lease may come any moment.
                await asyncio.sleep(min(self._interval, LOOK_SECONDS))
                continue
            failures = await self._visit(peer, failures)
            await asyncio.sleep(pause_after(failures, self._interval, SystemRandom().uniform(0.8, 1.2)))

    async def _visit(self, peer: Peer, failures: int) -> int:
        """How many visits in a row have failed now."""
        try:
            async with asyncio.timeout(VISIT_SECONDS):
                try:
                    await self._pull(peer)
                except (ProblemError, ValueError) as error:
                    # It may quote the peer, which would not be a failing one if its words could not be stored.
                    reason = printable(error, _REASON)
                    if not failures:
                        log.warning("peer failed", extra={"fields": {"peer": peer.name, "error": reason}})
                    await self._repository.failed(peer, reason)
                    return failures + 1
        except (ProblemError, TimeoutError) as error:
            fields = {"peer": peer.name, "error": str(error) or "out of time"}
            log.warning("federation visit cut short", extra={"fields": fields})
            return failures
        except Exception:
            log.exception("federation visit failed")
            return failures
        if failures:
            log.info("peer answers again", extra={"fields": {"peer": peer.name}})
        return 0

    async def _pull(self, peer: Peer) -> None:
        """Raises ProblemError or ValueError with the reason when the peer or the store fails."""
        cursor = await self._repository.cursor_of(peer)
        for _ in range(MAXIMUM_PAGES):
            page = await self._page(peer, cursor)
            batch = accept(page.items, peer)
            refused = await self._repository.store(peer, batch.records, batch.refusals, page.next_cursor)
            if refused:
                log.warning("records of a peer refused", extra={"fields": {"peer": peer.name, "refused": refused}})
            cursor = page.next_cursor
            if not page.more:
                return

    async def _page(self, peer: Peer, cursor: str) -> ExportPage:
        reply, header = await self._ask(peer, cursor)
        if reply.status == 400 and cursor:
            # A peer of another release may not know the cursor; what is here already costs nothing but its reading.
            reply, header = await self._ask(peer, "")
        if reply.status != 200:
            raise ValueError(f"peer {peer.name} answered {reply.status}: {_detail(reply.body)}")
        signed_by = self._signer.check_response(reply.headers.get(HEADER, ""), header, reply.body)
        if signed_by != peer.name:
            raise ValueError(f"peer {peer.name} calls itself {signed_by!r}; correct the name in MESH_PEERS_FILE")
        try:
            page = msgspec.json.decode(reply.body, type=ExportPage)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValueError(f"the answer of peer {peer.name} does not fit: {error}") from None
        if len(page.items) > PAGE_SIZE:
            raise ValueError(f"peer {peer.name} sent {len(page.items)} records where {PAGE_SIZE} were asked for")
        return page

    async def _ask(self, peer: Peer, cursor: str) -> tuple[Reply, str]:
        """The reply and the signature that went with the request, which a nonce makes unlike any other."""
        parts = urlsplit(peer.url)
        query = urlencode({"limit": PAGE_SIZE, "cursor": cursor, "nonce": token_hex(16)})
        target = f"{parts.path.rstrip('/')}/api/v1/export?{query}"
        header = self._signer.sign_request("GET", target)
        url = f"{parts.scheme}://{parts.netloc}{target}"
        return await self._upstreams.fetch(f"peer {peer.name}", "GET", url, headers={HEADER: header}), header


def _detail(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body, type=dict[str, object]).get("detail", "no explanation"))[:300]
    except (msgspec.MsgspecError, RecursionError):
        return "no explanation"
