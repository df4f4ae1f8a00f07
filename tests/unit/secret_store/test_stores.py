"""Both stores keep a secret once, privately, and tell why when they cannot."""

from __future__ import annotations

import base64
import json
import os
import ssl
import stat
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import (
    FINGERPRINT_KEY,
    SECRET_NAMES,
    MissingSecretError,
    SecretStore,
    SecretStoreError,
    generate,
    generate_for,
    keyed_fingerprint,
    open_store,
    resolve_secrets,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.base import IDENTITY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.certificate import SERVER_NAME

PASSWORD = "correct horse battery staple"
VALUE = "v" * 43


def loader(password: str | None = PASSWORD, vault_id: str = "default") -> DataLoader:
    made = DataLoader()
    if password:
        made.set_vault_secrets([(vault_id, VaultSecret(password.encode()))])
    return made


def vault(folder: Path, password: str | None = PASSWORD) -> SecretStore:
    return open_store("vault", loader=loader(password), inventory_dir=folder, state_dir="/nowhere")


def file_store(folder: Path) -> SecretStore:
    return open_store("file", loader=loader(None), inventory_dir=None, state_dir=folder)


def encrypted(text: str, password: str = PASSWORD) -> bytes:
    return VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text)


def decrypted(path: Path, password: str = PASSWORD) -> str:
    return VaultLib([("default", VaultSecret(password.encode()))]).decrypt(path.read_bytes()).decode()


@pytest.mark.parametrize("open_one", [vault, file_store], ids=["vault", "file"])
def test_a_store_keeps_the_first_value_and_gives_it_back(open_one: object, tmp_path: Path) -> None:
    assert callable(open_one)
    store: SecretStore = open_one(tmp_path)
    assert store.list_versions("redis_password") == []
    assert store.put_if_absent("redis_password", VALUE) is True
    assert store.put_if_absent("redis_password", "w" * 43) is False
    assert open_one(tmp_path).get("redis_password") == VALUE
    assert store.get("redis_password", 1) == VALUE
    assert store.list_versions("redis_password") == [1]
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [store.path.name]


@pytest.mark.parametrize("open_one", [vault, file_store], ids=["vault", "file"])
def test_what_is_not_there_is_said_so(open_one: object, tmp_path: Path) -> None:
    assert callable(open_one)
    store: SecretStore = open_one(tmp_path)
    with pytest.raises(MissingSecretError, match=r"^The secret redis_password is not in .*; deploy generates it\.$"):
        store.get("redis_password")
    store.put_if_absent("redis_password", VALUE)
    with pytest.raises(MissingSecretError, match=r"has no version 2 in .*; it has 1\.$"):
        store.get("redis_password", 2)


def test_generated_secrets_are_long_and_different() -> None:
    values = {generate() for _ in range(50)}
    assert len(values) == 50
    assert all(len(value) >= 43 and value.isascii() for value in values)


def test_a_fingerprint_follows_value_name_and_key() -> None:
    one = keyed_fingerprint("key", "name", VALUE)
    assert len(one) == 16
    assert one == keyed_fingerprint("key", "name", VALUE)
    assert len({one, keyed_fingerprint("kex", "name", VALUE), keyed_fingerprint("key", "nama", VALUE)}) == 3
    assert one != keyed_fingerprint("key", "name", VALUE + "v")


def test_a_fingerprint_needs_the_stores_key(tmp_path: Path) -> None:
    store = vault(tmp_path)
    store.put_if_absent("redis_password", VALUE)
    assert store.fingerprint("redis_password") is None
    store.put_if_absent(FINGERPRINT_KEY, generate())
    assert store.fingerprint("redis_password") == keyed_fingerprint(store.get(FINGERPRINT_KEY), "redis_password", VALUE)


def test_the_vault_file_is_encrypted_as_a_whole_and_opens_with_ansible_vault(tmp_path: Path) -> None:
    store = vault(tmp_path)
    store.put_all_if_absent({name: generate() for name in SECRET_NAMES})
    raw = store.path.read_text(encoding="utf-8")
    assert raw.startswith("$ANSIBLE_VAULT;1.1;AES256\n")
    assert store.get("admin_token") not in raw
    assert store.get("admin_token") in decrypted(store.path)


def test_what_an_operator_wrote_stays_as_it_was(tmp_path: Path) -> None:
    written = f"---\n# from our password manager\nadmin_token: {'a' * 40}\n"
    (tmp_path / "secrets.yml").write_bytes(encrypted(written))
    store = vault(tmp_path)
    assert store.put_all_if_absent({"admin_token": VALUE, "redis_password": VALUE}) == ["redis_password"]
    assert decrypted(store.path) == f'{written}redis_password: "{VALUE}"\n'


def test_inline_values_are_read_and_new_ones_are_inline_too(tmp_path: Path) -> None:
    body = encrypted("a" * 40).decode().replace("\n", "\n  ").strip()
    (tmp_path / "secrets.yml").write_text(f"admin_token: !vault |\n  {body}\n", encoding="utf-8")
    store = vault(tmp_path)
    assert store.get("admin_token") == "a" * 40
    store.put_if_absent("redis_password", VALUE)
    text = store.path.read_text(encoding="utf-8")
    assert text.startswith("admin_token: !vault |\n")
    assert VALUE not in text
    assert (store.get("redis_password"), store.get("admin_token")) == (VALUE, "a" * 40)


def test_versions_are_numbered_and_the_newest_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "secrets.yml").write_bytes(encrypted(f"redis_password: {{1: {'a' * 40}, 2: {'b' * 40}}}\n"))
    store = vault(tmp_path)
    assert store.list_versions("redis_password") == [1, 2]
    assert (store.get("redis_password"), store.get("redis_password", 1)) == ("b" * 40, "a" * 40)


def test_a_vault_id_is_kept(tmp_path: Path) -> None:
    labelled = loader(vault_id="prod")
    store = open_store("vault", loader=labelled, inventory_dir=tmp_path, state_dir="/nowhere")
    store.put_if_absent("redis_password", VALUE)
    assert store.path.read_text(encoding="utf-8").startswith("$ANSIBLE_VAULT;1.2;AES256;prod\n")
    store.put_if_absent("admin_token", VALUE)
    assert store.path.read_text(encoding="utf-8").startswith("$ANSIBLE_VAULT;1.2;AES256;prod\n")


@pytest.mark.parametrize(
    ("content", "password", "sentence"),
    [
        (encrypted("a: b\n"), None, "cannot be read: no vault password was given; pass one with --vault-password-file"),
        (encrypted("a: b\n"), "wrong", "cannot be read: none of the given vault passwords opens it"),
        (
            b"admin_token: in-the-clear-for-everyone-to-see\n",
            PASSWORD,
            "is in clear text; encrypt the file: ansible-vault",
        ),
        (encrypted("a: [\n"), PASSWORD, "is not YAML at line 2; correct it with ansible-vault edit."),
        (encrypted("- a\n"), PASSWORD, "must be a mapping of secret names to values."),
        (encrypted("admin_token: 12345\n"), PASSWORD, "is not a text; put quotes around it."),
        (encrypted("admin_token: {one: aaaa}\n"), PASSWORD, "has version 'one'; versions are whole numbers from 1."),
        (encrypted("admin_token: short\n"), PASSWORD, "has 5 characters; at least 32 are needed"),
        (b"\xff\xfe", PASSWORD, "is not UTF-8 text."),
    ],
    ids=[
        "no_password",
        "wrong_password",
        "clear_text",
        "not_yaml",
        "list",
        "number",
        "version_word",
        "short",
        "binary",
    ],
)
def test_a_vault_file_that_is_no_good_is_refused_in_one_sentence_without_values(
    content: bytes, password: str | None, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "secrets.yml").write_bytes(content)
    with pytest.raises(SecretStoreError) as refused:
        vault(tmp_path, password).get("admin_token")
    message = str(refused.value)
    assert sentence in message
    assert str(tmp_path / "secrets.yml") in message
    assert "\n" not in message
    assert "everyone" not in message
    assert "short" not in message.replace("shorter", "")


def test_without_a_password_nothing_is_generated(tmp_path: Path) -> None:
    store = vault(tmp_path, None)
    with pytest.raises(
        SecretStoreError, match=r"^The secrets a, b cannot be kept in .*: no vault password was given; "
    ):
        store.put_all_if_absent({"a": VALUE, "b": VALUE})
    assert list(tmp_path.iterdir()) == []


def test_a_flow_mapping_is_not_appended_to(tmp_path: Path) -> None:
    before = encrypted(f"{{admin_token: {'a' * 40}}}\n")
    (tmp_path / "secrets.yml").write_bytes(before)
    with pytest.raises(
        SecretStoreError, match="is not a plain block of 'name: value' lines, so nothing can be added; "
    ):
        vault(tmp_path).put_if_absent("redis_password", VALUE)
    assert (tmp_path / "secrets.yml").read_bytes() == before


def test_the_file_store_makes_its_folder_private_and_leaves_existing_modes_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o751)
    umask = os.umask(0o027)
    try:
        file_store(tmp_path / "mesh" / "state").put_if_absent("redis_password", VALUE)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "mesh" / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "mesh").stat().st_mode) == 0o755
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o751
    (tmp_path / "mesh" / "state").chmod(0o711)
    file_store(tmp_path / "mesh" / "state").put_if_absent("admin_token", VALUE)
    assert stat.S_IMODE((tmp_path / "mesh" / "state").stat().st_mode) == 0o711


def test_a_broken_file_store_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("[", encoding="utf-8")
    with pytest.raises(SecretStoreError, match="is not the JSON that a deploy writes; put it back from a backup"):
        file_store(tmp_path).get("admin_token")


def test_the_vault_store_needs_an_inventory_folder() -> None:
    with pytest.raises(SecretStoreError, match="needs an inventory folder; run with -i inventories/<site>"):
        open_store("vault", loader=loader(), inventory_dir=None, state_dir="/nowhere")


def plan_with(folder: Path, fingerprint: str | None) -> dict[str, object]:
    reference = {"store": "file", "name": "redis_password", "version": 1, "fingerprint": fingerprint}
    return {"mesh": {"paths": {"state": str(folder)}}, "secrets": {"redis_password": reference}}


def test_a_reference_is_resolved_to_the_value_that_the_plan_was_made_with(tmp_path: Path) -> None:
    store = file_store(tmp_path)
    store.put_all_if_absent({FINGERPRINT_KEY: generate(), "redis_password": VALUE})
    plan = plan_with(tmp_path, store.fingerprint("redis_password"))
    assert resolve_secrets(plan, ["redis_password"], loader(None), None) == {"redis_password": VALUE}
    assert resolve_secrets(plan, [], loader(None), None) == {}


def test_a_secret_that_changed_after_the_plan_is_refused(tmp_path: Path) -> None:
    file_store(tmp_path).put_all_if_absent({FINGERPRINT_KEY: generate(), "redis_password": VALUE})
    with pytest.raises(SecretStoreError, match=r"changed after the plan was made; run the whole playbook again\.$"):
        resolve_secrets(plan_with(tmp_path, "0" * 16), ["redis_password"], loader(None), None)


def test_a_name_that_the_plan_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretStoreError, match=r"^The plan has no secret pasword; it has redis_password\.$"):
        resolve_secrets(plan_with(tmp_path, None), ["pasword"], loader(None), None)


def test_check_mode_predicts_a_secret_that_does_not_exist_yet(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, None)
    predicted = resolve_secrets(plan, ["redis_password"], loader(None), None, predict=True)
    assert len(predicted["redis_password"]) == len(generate())
    with pytest.raises(MissingSecretError):
        resolve_secrets(plan, ["redis_password"], loader(None), None)


def test_the_certificate_for_metrics_is_one_line_and_good_for_both_ends_of_a_connection(tmp_path: Path) -> None:
    value = generate_for("metrics_tls")
    assert "\n" not in value
    pem = tmp_path / "both.pem"
    pem.write_bytes(base64.b64decode(value))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    server.load_verify_locations(pem)
    server.verify_mode = ssl.CERT_REQUIRED
    assert shaken(server, client(pem, certificate=True)) is None
    assert "did not return a certificate" in str(shaken(server, client(pem, certificate=False)))


def client(pem: Path, *, certificate: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pem))
    if certificate:
        context.load_cert_chain(pem)
    return context


def shaken(server: ssl.SSLContext, caller: ssl.SSLContext) -> ssl.SSLError | None:
    """Why the two do not come together, None when they do; no socket is needed."""
    to_server, to_caller = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_caller, server_side=True),
        caller.wrap_bio(to_caller, to_server, server_hostname=SERVER_NAME),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return error
    return None


def test_a_secret_of_somebody_else_may_be_short_and_one_of_ours_may_not(tmp_path: Path) -> None:
    store = file_store(tmp_path)
    store.put_all_if_absent({"receiver_mail": "short", "admin_token": "short"})
    assert store.get("receiver_mail") == "short"
    with pytest.raises(SecretStoreError, match="at least 32 are needed"):
        store.get("admin_token")


def test_a_generated_key_pair_of_age_can_be_kept_and_read(tmp_path: Path) -> None:
    store = vault(tmp_path)
    value = generate_for(IDENTITY)
    store.put_if_absent(IDENTITY, value)
    assert store.get(IDENTITY) == value
    assert json.loads(value)["recipient"].startswith("age1")
