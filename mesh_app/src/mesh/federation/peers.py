"""The peers that an operator configured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from mesh.core.secrets import ConfigError
from mesh.web.fields import Link


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of MESH_PEERS_FILE: the peer's mesh name and the URL of its federation endpoint."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    url: Link


def load_peers(path: str | None, own_name: str) -> tuple[Peer, ...]:
    """Raises ConfigError with one sentence; no path means no peers."""
    if path is None:
        return ()
    try:
        peers = msgspec.json.decode(Path(path).read_bytes(), type=list[Peer])
    except OSError as error:
        raise ConfigError(f"MESH_PEERS_FILE names {path}, which cannot be read ({error.strerror}).") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"MESH_PEERS_FILE {path} is not a list of {{name, url}}: {error}.") from None
    names = [peer.name for peer in peers]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"MESH_PEERS_FILE {path} names the peer {name!r} twice; names are unique.")
        if name == own_name:
            raise ConfigError(f"MESH_PEERS_FILE {path} names this mesh ({name!r}) as its own peer; remove that entry.")
    return tuple(peers)
