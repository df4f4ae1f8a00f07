"""The list of callers: opaque bearer tokens, known by their SHA-256 only."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from mesh.core.secrets import ConfigError

ROLES = ("service", "verify", "admin", "operator", "reader")


class TokenEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One caller of MESH_TOKENS_FILE; `sha256` is the hex digest of the token."""

    subject: str
    role: str
    sha256: str


def load_tokens(path: str | None) -> tuple[TokenEntry, ...]:
    """Entries of MESH_TOKENS_FILE; raises ConfigError when it is missing, empty or wrong."""
    if not path:
        raise ConfigError("MESH_TOKENS_FILE is not set; with MESH_AUTH=on it names the JSON list of callers.")
    try:
        entries = msgspec.json.decode(Path(path).read_bytes(), type=list[TokenEntry])
    except OSError as error:
        raise ConfigError(f"MESH_TOKENS_FILE names {path}, which cannot be read ({error.strerror}).") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"MESH_TOKENS_FILE {path} is not a list of {{subject, role, sha256}}: {error}.") from None
    if not entries:
        raise ConfigError(f"MESH_TOKENS_FILE {path} lists no caller; nobody could use this mesh.")
    for entry in entries:
        if entry.role not in ROLES:
            raise ConfigError(
                f"MESH_TOKENS_FILE {path}: role {entry.role!r} of {entry.subject!r}; allowed: {', '.join(ROLES)}."
            )
        if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256):
            raise ConfigError(f"MESH_TOKENS_FILE {path}: sha256 of {entry.subject!r} is not 64 lower-case hex digits.")
    return tuple(entries)
