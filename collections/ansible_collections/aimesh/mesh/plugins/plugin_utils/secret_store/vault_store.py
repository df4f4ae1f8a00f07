"""The `vault` store: `secrets.yml` beside the inventory, under ansible-vault.

A YAML mapping of names to values, or to `{version: value}`; either the whole file is encrypted or each value is
(`!vault`). What was there stays as it was written: new secrets are appended.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, is_encrypted, match_encrypt_secret, parse_vaulttext_envelope
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.base import (
    Entries,
    SecretStore,
    SecretStoreError,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.writing import exclusive, replace_file

HOW_TO_OPEN = "pass one with --vault-password-file FILE, --ask-vault-pass or ANSIBLE_VAULT_PASSWORD_FILE"
HEADER = "---\n# Secrets of this mesh. Change with: ansible-vault edit\n"


@dataclass(frozen=True)
class Ciphertext:
    """An inline vault value that nobody has decrypted yet."""

    text: str


class _Loader(yaml.SafeLoader):
    """Safe YAML that keeps `!vault` values encrypted."""


def _ciphertext(loader: _Loader, node: yaml.ScalarNode) -> Ciphertext:
    return Ciphertext(str(loader.construct_scalar(node)))


_Loader.add_constructor("!vault", _ciphertext)


class VaultStore(SecretStore):
    kind = "vault"

    def __init__(self, path: Path, vault_secrets: list[tuple[str, Any]]) -> None:
        self.path = path
        self._secrets = vault_secrets
        self._vault = VaultLib(vault_secrets)

    def why_read_only(self) -> str | None:
        if not self._secrets:
            return f"no vault password was given; {HOW_TO_OPEN}"
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            return f"this user may not write to {self.path.parent}; deploy once from a copy that can be written"
        return None

    def _entries(self) -> Entries:
        return self._values(self._parse(self._text()))

    def _raw(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise SecretStoreError(f"The secret store {self.path} cannot be read: {error.strerror}.") from None

    def _text(self) -> str:
        raw = self._raw()
        try:
            return (self._decrypt(raw, "") if is_encrypted(raw) else raw).decode()
        except UnicodeDecodeError:
            raise SecretStoreError(f"The secret store {self.path} is not UTF-8 text.") from None

    def _decrypt(self, ciphertext: bytes, what: str) -> bytes:
        subject = f"The secret {what} in {self.path}" if what else f"The secret store {self.path}"
        if not self._secrets:
            raise SecretStoreError(f"{subject} cannot be read: no vault password was given; {HOW_TO_OPEN}.")
        try:
            return bytes(self._vault.decrypt(ciphertext))
        except AnsibleError:
            raise SecretStoreError(
                f"{subject} cannot be read: none of the given vault passwords opens it; "
                "pass the password it was encrypted with."
            ) from None

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            document = _Loader(text).get_single_data()
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f" at line {mark.line + 1}" if mark else ""
            raise SecretStoreError(
                f"The secret store {self.path} is not YAML{line}; correct it with ansible-vault edit."
            ) from None
        if document is None:
            return {}
        if not isinstance(document, dict):
            raise SecretStoreError(f"The secret store {self.path} must be a mapping of secret names to values.")
        return {str(name): value for name, value in document.items()}

    def _values(self, document: dict[str, Any]) -> Entries:
        whole = is_encrypted(self._raw())
        entries: Entries = {}
        for name, value in document.items():
            versions = value if isinstance(value, dict) else {1: value}
            entries[name] = {}
            for version, content in versions.items():
                if not isinstance(version, int) or isinstance(version, bool) or version < 1:
                    raise SecretStoreError(
                        f"The secret {name} in {self.path} has version {version!r}; versions are whole numbers from 1."
                    )
                entries[name][version] = self._value(name, content, whole)
        return entries

    def _value(self, name: str, content: Any, whole: bool) -> str:
        if isinstance(content, Ciphertext):
            return self._decrypt(content.text.strip().encode(), name).decode()
        if not isinstance(content, str):
            raise SecretStoreError(f"The secret {name} in {self.path} is not a text; put quotes around it.")
        if not whole:
            raise SecretStoreError(
                f"The secret {name} in {self.path} is in clear text; encrypt the file: "
                f"ansible-vault encrypt {self.path}."
            )
        return content

    def _add(self, entries: Entries) -> None:
        try:
            with exclusive(self.path.parent):
                raw = self._raw()
                text = self._text()
                there = self._parse(text)
                absent = {name: versions for name, versions in entries.items() if name not in there}
                inline = bool(raw.strip()) and not is_encrypted(raw)
                replace_file(
                    self.path, self._with_inline(text, absent) if inline else self._with_whole(raw, text, absent)
                )
        except OSError as error:
            raise SecretStoreError(f"The secret store {self.path} cannot be written: {error.strerror}.") from None

    def _appended(self, text: str, lines: str, names: list[str]) -> str:
        result = text + ("" if text.endswith("\n") or not text else "\n") + lines
        try:
            kept = list(self._parse(result)) == [*self._parse(text), *names]
        except SecretStoreError:
            kept = False
        if not kept:
            raise SecretStoreError(
                f"The secret store {self.path} is not a plain block of 'name: value' lines, so nothing can be added; "
                "rewrite it in that form with ansible-vault edit."
            )
        return result

    def _with_inline(self, text: str, entries: Entries) -> bytes:
        def ciphertext(value: str, indent: str) -> str:
            body = self._encrypt(value.encode(), None).decode().rstrip("\n")
            return "!vault |\n" + "".join(f"{indent}{line}\n" for line in body.splitlines())

        lines = ""
        for name, versions in entries.items():
            if list(versions) == [1]:
                lines += f"{name}: {ciphertext(versions[1], '  ')}"
            else:
                rows = (f"  {version}: {ciphertext(value, '    ')}" for version, value in versions.items())
                lines += f"{name}:\n{''.join(rows)}"
        return self._appended(text, lines, list(entries)).encode()

    def _with_whole(self, raw: bytes, text: str, entries: Entries) -> bytes:
        lines = "".join(f"{name}: {_plain(versions)}\n" for name, versions in entries.items())
        vault_id = parse_vaulttext_envelope(raw)[3] if is_encrypted(raw) else None
        return self._encrypt(self._appended(text or HEADER, lines, list(entries)).encode(), vault_id)

    def _encrypt(self, plain: bytes, vault_id: str | None) -> bytes:
        known = [identity for identity, _ in self._secrets]
        wanted = vault_id if vault_id in known else constants.DEFAULT_VAULT_ENCRYPT_IDENTITY
        identity, secret = match_encrypt_secret(self._secrets, encrypt_vault_id=wanted)
        label = None if identity == constants.DEFAULT_VAULT_IDENTITY else identity
        return bytes(self._vault.encrypt(plain, secret, label))


def _plain(versions: dict[int, str]) -> str:
    """A secret's versions as YAML: JSON's texts are YAML's double-quoted ones."""
    if list(versions) == [1]:
        return json.dumps(versions[1])
    return "{" + ", ".join(f"{version}: {json.dumps(value)}" for version, value in versions.items()) + "}"
