"""Keys of age: what is sealed to a recipient, only the holder of the identity can open."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.base import SecretStoreError


def new_identity() -> str:
    """A new key pair on one line: `{"identity": "AGE-SECRET-KEY-1…", "recipient": "age1…"}`."""
    # Imported where it is used: only runs that seal or generate pay for it.
    from pyrage import x25519

    identity = x25519.Identity.generate()
    return json.dumps({"identity": str(identity), "recipient": str(identity.to_public())})


def seal(content: bytes, recipients: Iterable[str]) -> bytes:
    """The content for holders of any of the recipients' identities. Raises SecretStoreError."""
    import pyrage

    try:
        return bytes(pyrage.encrypt(content, [pyrage.x25519.Recipient.from_str(text) for text in recipients]))
    except (pyrage.RecipientError, pyrage.EncryptError) as error:
        raise SecretStoreError(f"The escrow archive cannot be sealed: {error}; check mesh_backup.recipients.") from None


def open_sealed(content: bytes, identity: str) -> bytes:
    """What `seal` was given. Raises SecretStoreError for another identity or a broken file, and tells no secret."""
    import pyrage

    try:
        return bytes(pyrage.decrypt(content, [pyrage.x25519.Identity.from_str(identity.strip())]))
    except pyrage.IdentityError:
        raise SecretStoreError("The escrow key is no identity of age (AGE-SECRET-KEY-1…).") from None
    except pyrage.DecryptError as error:
        raise SecretStoreError(f"The escrow key does not open the archive: {error}.") from None
