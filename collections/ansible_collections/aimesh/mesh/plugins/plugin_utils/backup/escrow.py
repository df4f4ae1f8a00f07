"""All secrets of a mesh, sealed: who has the escrow key gets a mesh back whose secret store is lost."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import IDENTITY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import (
    FINGERPRINT_KEY,
    SecretStore,
    keyed_fingerprint,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.age import seal


def escrow_of(store: SecretStore, recipients: Sequence[str]) -> tuple[str, str]:
    """(digest of what is sealed and for whom, the sealed archive in base64).

    The digest is keyed: it tells that a secret changed and nothing about any. Raises SecretStoreError.
    """
    plain, holders = _sealed(store, recipients)
    return _digest(store, plain, holders), base64.b64encode(seal(plain.encode(), holders)).decode()


def escrow_digest(store: SecretStore, recipients: Sequence[str]) -> str:
    """The digest alone. Raises SecretStoreError."""
    return _digest(store, *_sealed(store, recipients))


def _sealed(store: SecretStore, recipients: Sequence[str]) -> tuple[str, list[str]]:
    """(what is sealed, for whom)."""
    plain = json.dumps({"schema": 1, "secrets": store.everything()}, sort_keys=True)
    return plain, [str(json.loads(store.get(IDENTITY))["recipient"]), *recipients]


def _digest(store: SecretStore, plain: str, holders: Sequence[str]) -> str:
    return keyed_fingerprint(store.get(FINGERPRINT_KEY), "escrow", f"{plain}\0{holders}")
