"""What is sealed to a recipient opens with its identity alone, and holds every secret of a store."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.aimesh.mesh.plugins.action.escrow import _entries
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.escrow import escrow_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import (
    FINGERPRINT_KEY,
    SecretStore,
    SecretStoreError,
    generate_for,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.age import new_identity, open_sealed, seal
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.file_store import FileStore
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.vault_store import VaultStore

VALUE = "a-secret-of-thirty-two-characters-or-more"


def pair() -> tuple[str, str]:
    made = json.loads(new_identity())
    return made["identity"], made["recipient"]


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    made = FileStore(tmp_path / "secrets.json")
    names = (FINGERPRINT_KEY, "backup_identity")
    made.put_all_if_absent({name: generate_for(name) for name in names} | {"redis_password": VALUE})
    return made


def test_only_the_identity_opens_what_was_sealed() -> None:
    identity, recipient = pair()
    sealed = seal(b"content", [recipient])
    assert sealed.startswith(b"age-encryption.org/v1\n")
    assert open_sealed(sealed, identity) == b"content"
    with pytest.raises(SecretStoreError, match="does not open the archive"):
        open_sealed(sealed, pair()[0])
    with pytest.raises(SecretStoreError, match="no identity of age"):
        open_sealed(sealed, "a password")
    with pytest.raises(SecretStoreError):
        open_sealed(sealed[:-1] + bytes([sealed[-1] ^ 1]), identity)


def test_a_recipient_that_is_none_is_told() -> None:
    with pytest.raises(SecretStoreError, match=r"cannot be sealed.*mesh_backup\.recipients"):
        seal(b"content", ["age1nonsense"])


def test_every_holder_gets_every_secret_and_nobody_sees_one(store: FileStore, tmp_path: Path) -> None:
    offline, recipient = pair()
    _, content = escrow_of(store, [recipient])
    sealed = base64.b64decode(content)
    for form in (VALUE.encode(), base64.b64encode(VALUE.encode())):
        assert form not in sealed
    archive = tmp_path / "secrets.age"
    archive.write_bytes(sealed)
    own = json.loads(store.get("backup_identity"))["identity"]
    for identity in (offline, f"# created: today\n{own}\n"):
        assert _entries(archive, identity)["redis_password"] == {1: VALUE}


RING = {2: "an-older-key-of-thirty-two-characters-or-more", 3: "a-newer-key-of-thirty-two-characters-or-more"}


@pytest.mark.parametrize("kind", ["file", "vault", "vault with inline values"])
def test_a_lost_store_comes_back_with_every_version(store: FileStore, tmp_path: Path, kind: str) -> None:
    """What an older key of a ring has encrypted can be read again, by the number of that key."""
    store.bring_back({"encryption_key": RING})
    archive = tmp_path / "secrets.age"
    archive.write_bytes(base64.b64decode(escrow_of(store, [])[1]))
    opened = _entries(archive, json.loads(store.get("backup_identity"))["identity"])
    new = _empty_store(kind, tmp_path / "new")
    assert sorted(new.bring_back(opened)) == sorted(opened)
    assert {name: new.everything()[name] for name in opened} == store.everything()
    assert list(new.everything()["encryption_key"]) == [2, 3]
    assert new.get("encryption_key") == RING[3]
    assert new.fingerprint("encryption_key", 2) == store.fingerprint("encryption_key", 2)
    # Negative control: what the new store has already is not taken apart.
    assert new.bring_back({"encryption_key": {1: VALUE}}) == []
    assert new.list_versions("encryption_key") == [2, 3]


def _empty_store(kind: str, folder: Path) -> SecretStore:
    folder.mkdir()
    if kind == "file":
        return FileStore(folder / "secrets.json")
    secrets = [("default", VaultSecret(b"a password"))]
    if "inline" in kind:
        first = VaultLib(secrets).encrypt("v" * 40).decode().rstrip("\n").replace("\n", "\n  ")
        (folder / "secrets.yml").write_text(f"admin_token: !vault |\n  {first}\n", encoding="utf-8")
    return VaultStore(folder / "secrets.yml", secrets)


def test_the_digest_follows_the_secrets_and_the_holders(store: FileStore) -> None:
    recipient = pair()[1]
    first, again = escrow_of(store, [])[0], escrow_of(store, [])[0]
    assert first == again
    assert escrow_of(store, [recipient])[0] != first
    store.put_if_absent("another", VALUE)
    assert escrow_of(store, [])[0] != first


def test_another_file_is_no_escrow_archive(tmp_path: Path) -> None:
    identity, recipient = pair()
    archive = tmp_path / "other.age"
    archive.write_bytes(seal(b"[]", [recipient]))
    with pytest.raises(SecretStoreError, match="holds no secrets of a mesh"):
        _entries(archive, identity)
    with pytest.raises(SecretStoreError, match="cannot be read"):
        _entries(tmp_path / "nothing", identity)
