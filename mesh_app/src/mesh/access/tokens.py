"""The list of callers: opaque bearer tokens, known by their SHA-256 only."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mesh.core.secrets import ConfigError

GIVEN_ROLES = ("admin", "operator", "reader")
"""What a person or a program may be given, the most powerful first; the other two belong to the mesh itself."""
ROLES = ("service", "verify", *GIVEN_ROLES)


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


class OpaqueTokens:
    """The callers of MESH_TOKENS_FILE, compared by SHA-256 in constant time."""

    def __init__(self, entries: Sequence[TokenEntry]) -> None:
        self._entries = tuple(entries)
        self._by_reference = {reference_of(entry): entry for entry in entries}

    def find(self, token: str) -> TokenEntry | None:
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for entry in self._entries:
            if hmac.compare_digest(entry.sha256, digest):
                found = entry
        return found

    def stands(self, reference: str, subject: str, role: str) -> bool:
        """Whether the token is still listed, for the same subject and role."""
        entry = self._by_reference.get(reference)
        return entry is not None and (entry.subject, entry.role) == (subject, role)


def reference_of(entry: TokenEntry) -> str:
    """Names a token in a session without telling its digest."""
    return hashlib.sha256(f"{entry.sha256}\n{entry.subject}".encode()).hexdigest()[:24]
