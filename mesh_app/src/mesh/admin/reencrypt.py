"""`mesh admin reencrypt`: stored credentials move to the first key of MESH_ENCRYPTION_KEY_FILES."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mesh.admin.arguments import add_verb
from mesh.admin.output import answer
from mesh.core.secrets import ConfigError

if TYPE_CHECKING:
    from mesh.storage.encryption import KeyRing

_BATCH = """
    SELECT agent_id, secret FROM agent_credentials WHERE key_id <> $1 AND agent_id > $2 ORDER BY agent_id LIMIT $3
"""
# The old value is compared, so that a credential replaced in the meantime stays as it is.
_MOVE = "UPDATE agent_credentials SET secret = $3, key_id = $4 WHERE agent_id = $1 AND secret = $2 RETURNING 1"


def add(nouns: Any) -> None:
    parser = add_verb(nouns, "reencrypt", _perform, "encrypt stored credentials under the first key")
    parser.add_argument("--batch", type=int, default=500, metavar="ROWS", help="rows read at a time (500)")


def _perform(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    from mesh.admin.database import run
    from mesh.storage.encryption import VARIABLE, KeyRing

    ring = KeyRing.from_files([path for path in env.get(VARIABLE, "").split(":") if path])
    if ring is None:
        raise ConfigError(f"{VARIABLE} is not set; name the new key's file and then the old one's.")
    moved, failed = run(env, lambda connection: reencrypt(connection, ring, max(options.batch, 1)))
    for sentence in failed:
        print(f"mesh admin reencrypt: {sentence}", file=sys.stderr)
    text = f"{moved} credentials moved to the key {ring.current}, {len(failed)} could not be opened"
    answer(options, {"key_id": ring.current, "moved": moved, "failed": len(failed)}, text)
    return 1 if failed else 0


async def reencrypt(connection: Any, ring: KeyRing, batch: int) -> tuple[int, list[str]]:
    """How many rows moved to the first key, and one sentence for each that could not be opened.

    Row by row: what is done stays done, and a second run goes on with the rest.
    """
    from mesh.registry.credential_api import place_of
    from mesh.storage.encryption import SealError

    moved, failed, after = 0, [], UUID(int=0)
    while rows := await connection.fetch(_BATCH, ring.current, after, batch):
        after = rows[-1]["agent_id"]
        for row in rows:
            place = place_of(row["agent_id"])
            try:
                sealed = ring.seal(ring.open(row["secret"], place), place)
            except SealError as error:
                failed.append(str(error))
            else:
                moved += await connection.fetchval(_MOVE, row["agent_id"], row["secret"], sealed, ring.current) or 0
    return moved, failed
