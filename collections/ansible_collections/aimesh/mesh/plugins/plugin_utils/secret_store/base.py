"""What every secret store offers, and how a secret is generated and fingerprinted."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from abc import ABC, abstractmethod
from pathlib import Path

FINGERPRINT_KEY = "fingerprint_key"
"""Name under which a store keeps the key of its fingerprints."""
SECRET_NAMES = (
    "db_owner_password",
    "db_app_a_password",
    "db_app_b_password",
    "redis_password",
    "service_token",
    "verify_token",
    "admin_token",
    "session_key",
    "federation_key",
    "jwt_key",
    "encryption_key",
)
"""Every secret a mesh needs."""
CERTIFICATE = "metrics_tls"
"""The one secret that is a key with its certificate."""
IDENTITY = "backup_identity"
"""The one secret that is a key of age with its public half."""
FOREIGN = ("receiver_", "backup_s3_")
"""What names of secrets begin with that somebody else gave us: the key of a pager, of a bucket."""
KEY_RINGS = ("jwt_key", "encryption_key")
"""Secrets whose version before the newest one goes on working: what was signed or encrypted with it is still about."""


def previous(name: str) -> str:
    """How a plan calls the version before the newest one of a key ring."""
    return f"{name}_previous"


MINIMUM_LENGTH = 32
"""Characters; shorter secrets are refused, whoever wrote them."""


class SecretStoreError(ValueError):
    """Why a store cannot give or keep a secret: one sentence that never holds a secret's value."""


class MissingSecretError(SecretStoreError):
    """The store is readable and the secret is not in it."""


def generate() -> str:
    """A new secret: 64 URL-safe characters from 48 random bytes."""
    return secrets.token_urlsafe(48)


def generate_for(name: str) -> str:
    """A new value of the secret `name`, on one line."""
    if name == CERTIFICATE:
        from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.certificate import metrics_certificate

        return metrics_certificate()
    if name == IDENTITY:
        from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.age import new_identity

        return new_identity()
    return generate()


def keyed_fingerprint(key: str, name: str, value: str) -> str:
    """16 hex digits of HMAC-SHA256 over name and value: tells a changed secret, useless without the store."""
    return hmac.new(key.encode(), f"{name}\0{value}".encode(), hashlib.sha256).hexdigest()[:16]


Entries = dict[str, dict[int, str]]
"""Secret name → version → value."""


class SecretStore(ABC):
    """Secrets by name and version. Versions count from 1; the newest is the one in use.

    Reading raises SecretStoreError when the store cannot be read at all.
    """

    kind: str
    path: Path

    @abstractmethod
    def _entries(self) -> Entries:
        """Everything in the store; empty when it does not exist yet."""

    @abstractmethod
    def _add(self, entries: Entries) -> None:
        """Keep new secrets with these versions, all or none."""

    @abstractmethod
    def why_read_only(self) -> str | None:
        """One clause on why nothing can be kept here, with what to do; None for a store that can be written."""

    def get(self, name: str, version: int | None = None) -> str:
        """The secret's value. Raises MissingSecretError when there is no such secret or version."""
        versions = self._entries().get(name)
        if not versions:
            raise MissingSecretError(f"The secret {name} is not in {self.path}; deploy generates it.")
        wanted = max(versions) if version is None else version
        if wanted not in versions:
            known = ", ".join(str(number) for number in sorted(versions))
            raise MissingSecretError(f"The secret {name} has no version {wanted} in {self.path}; it has {known}.")
        value = versions[wanted]
        if len(value) < MINIMUM_LENGTH and name != FINGERPRINT_KEY and not name.startswith(FOREIGN):
            raise SecretStoreError(
                f"The secret {name} in {self.path} has {len(value)} characters; at least {MINIMUM_LENGTH} are needed: "
                "remove it to have one generated, or write a longer one."
            )
        return value

    def put_if_absent(self, name: str, value: str) -> bool:
        """Keep a secret that is not there yet. True when it was added. Raises SecretStoreError on a read-only store."""
        return bool(self.put_all_if_absent({name: value}))

    def put_all_if_absent(self, values: dict[str, str]) -> list[str]:
        """Keep those secrets that are not there yet as version 1. Returns the names that were added."""
        return self.bring_back({name: {1: value} for name, value in values.items()})

    def bring_back(self, entries: Entries) -> list[str]:
        """Keep those secrets that are not there yet, each with all its versions, in one write.

        Versions keep their numbers: plans and encrypted values refer to them. Returns the names that were added.
        """
        missing = self.missing(tuple(entries))
        if not missing:
            return []
        reason = self.why_read_only()
        if reason:
            raise SecretStoreError(f"The secrets {', '.join(missing)} cannot be kept in {self.path}: {reason}.")
        self._add({name: dict(sorted(entries[name].items())) for name in missing})
        return missing

    def everything(self) -> Entries:
        """All secrets with all their versions, for an archive that is sealed at once."""
        return self._entries()

    def list_versions(self, name: str) -> list[int]:
        """Versions of a secret, ascending; empty when it is not there."""
        return sorted(self._entries().get(name, {}))

    def missing(self, names: tuple[str, ...]) -> list[str]:
        """Those of the names that the store does not have, in the given order."""
        entries = self._entries()
        return [name for name in names if not entries.get(name)]

    def fingerprint(self, name: str, version: int | None = None) -> str | None:
        """Keyed fingerprint of a secret; None when the secret or the store's key does not exist yet."""
        try:
            return keyed_fingerprint(self.get(FINGERPRINT_KEY), name, self.get(name, version))
        except MissingSecretError:
            return None
