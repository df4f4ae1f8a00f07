"""The edge to Ansible: the whole inventory through `hostvars`, value by value, as plain Python with origins.

ansible-core 2.19 and later hand out raw templates and tagged values; every leaf is resolved on its own, so that one bad
template costs one sentence, and a vaulted value is never decrypted.
"""

from __future__ import annotations

import datetime
import linecache
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible._internal._datatag._tags import Origin, VaultedValue
from ansible.errors import AnsibleError
from ansible.parsing.vault import AnsibleVaultError, EncryptedString
from ansible.template import Templar
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import HostInput, InventoryInput
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Where

PREFIX = "mesh_"
ABSENT: Any = object()
WORDS: dict[Any, tuple[str, ...]] = {
    True: ("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"),
    False: ("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"),
    None: ("", "null", "Null", "NULL", "~"),
}
"""How YAML writes the values that cannot carry an origin of their own."""
SECRETS_STAY_OUT = (
    "is an encrypted value; allowed: clear text, since the plan shows it; "
    "write it in clear text, and keep secrets in the secret store"
)
CLOSED_VAULT = (
    "uses a vault value that cannot be read; pass the password it was encrypted with (--vault-password-file FILE), "
    "or write the value in clear text"
)


def read_inventory(hostvars: Any, groups: Mapping[str, Any], loader: Any, name: str, base: Path) -> InventoryInput:
    """Every host of the group `mesh`, whatever --limit says. Paths in origins are relative to `base` where below it."""
    plain_groups = {str(group): tuple(str(host) for host in hosts) for group, hosts in groups.items()}
    members = plain_groups.get("mesh", ())
    ungrouped = tuple(host for host in plain_groups.get("ungrouped", ()) if host != "localhost")
    return InventoryInput(
        hosts=tuple(_HostReader(host, hostvars, loader, base).read() for host in members),
        groups=plain_groups | {"ungrouped": ungrouped},
        name=name,
    )


class _HostReader:
    """Reads one host."""

    def __init__(self, host: str, hostvars: Any, loader: Any, base: Path) -> None:
        self.host = host
        self.raw: Mapping[str, Any] = hostvars.raw_get(host)
        self.templar = Templar(loader=loader, variables={**self.raw, "hostvars": hostvars})
        self.base = base
        self.origins: dict[str, Where] = {}
        self.unreadable: dict[str, str] = {}

    def read(self) -> HostInput:
        variables: dict[str, Any] = {}
        for key, raw in self.raw.items():
            if not key.startswith(PREFIX):
                continue
            name = plain(key)
            self._note_origin(name, key, holds=raw)
            value = self._value(raw, name)
            if value is not ABSENT:
                variables[name] = value
        return HostInput(
            name=self.host,
            variables=variables,
            origins=self.origins,
            ansible_host=self._text("ansible_host", self.host),
            connection=self._text("ansible_connection", "ssh") or "ssh",
            unreadable=self.unreadable,
        )

    def _value(self, raw: Any, path: str) -> Any:
        """A value as plain Python; ABSENT, with the reason noted, where it or an item of its list cannot be read."""
        self._note_origin(path, raw)
        if isinstance(raw, EncryptedString):
            self.unreadable[path] = SECRETS_STAY_OUT
            return ABSENT
        if isinstance(raw, Mapping):
            items: dict[Any, Any] = {}
            for key, item in raw.items():
                self._note_origin(f"{path}.{key}", key)
                items[plain(key)] = self._value(item, f"{path}.{key}")
            return {key: item for key, item in items.items() if item is not ABSENT}
        if isinstance(raw, list | tuple):
            values = [self._value(item, f"{path}[{number}]") for number, item in enumerate(raw)]
            return ABSENT if any(value is ABSENT for value in values) else values
        if not isinstance(raw, str):
            return plain(raw)
        try:
            value = self.templar.template(raw)
            if _from_vault(value):
                self.unreadable[path] = SECRETS_STAY_OUT
                return ABSENT
            return plain(value)
        except (AnsibleError, ValueError, TypeError) as error:
            self.unreadable[path] = template_problem(error)
            return ABSENT

    def _text(self, name: str, default: str) -> str | None:
        raw = self.raw.get(name, default)
        if isinstance(raw, EncryptedString):
            return None
        try:
            value = self.templar.template(raw)
        except AnsibleError:
            return None
        return None if _from_vault(value) else str(plain(value))

    def _note_origin(self, path: str, value: Any, holds: Any = ABSENT) -> None:
        """`holds`: what a variable's name holds, when `value` is that name.

        The name comes from the first definition met, not from the one that won: it only speaks for a value that cannot
        carry an origin, and only when its line says the same.
        """
        origin = Origin.get_tag(value)
        if origin is None:
            return
        if holds is not ABSENT and not (isinstance(holds, bool | None) and _word(origin, path) in WORDS[holds]):
            return
        if not origin.path:
            self.origins[path] = Where(str(origin.description))
            return
        file = Path(str(origin.path))
        shown = file.relative_to(self.base) if file.is_relative_to(self.base) else file
        written = _word(origin, path) if isinstance(value, int | float) else None
        self.origins[path] = Where(str(shown), origin.line_num, written)


def plain(value: Any) -> Any:
    """The same value without Ansible's tags and lazy containers."""
    if value is None or isinstance(value, bool | datetime.date):
        return value
    if isinstance(value, str):
        return "".join(value)
    if isinstance(value, int):
        return int.__add__(value, 0)
    if isinstance(value, float):
        return float.__add__(value, 0.0)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    return value


def template_problem(error: BaseException) -> str:
    """The rest of a sentence on why a template has no value."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    text = " ".join(str(part) for part in chain)
    if (
        any(isinstance(part, AnsibleVaultError) for part in chain)
        or "undecryptable" in text
        or "vault secret" in text.lower()
    ):
        return CLOSED_VAULT
    undefined = re.search(r"'([^']+)' is undefined", text)
    if undefined:
        return (
            f"uses the undefined variable '{undefined[1]}' in its template; define that variable, or correct its name"
        )
    attribute = re.search(r"has no (?:attribute|element) '?([^'\s]+?)'?[.:]?(?:\s|$)", text)
    if attribute:
        return f"uses '{attribute[1]}' in its template, which is undefined; define it, or correct its name"
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip().rstrip(".")
    return f"has a template that cannot be resolved ({reason}); correct the template"


def _from_vault(value: Any) -> bool:
    if VaultedValue.is_tagged_on(value):
        return True
    if isinstance(value, Mapping):
        return any(_from_vault(item) for item in value.values())
    return isinstance(value, list | tuple) and any(_from_vault(item) for item in value)


def _word(origin: Any, path: str) -> str | None:
    """A value as its line has it: YAML reads 1.10 as 1.1, and off as false."""
    key = re.split(r"[.\[]", path)[-1].rstrip("]")
    line = linecache.getline(str(origin.path), origin.line_num or 0)
    match = re.search(rf"{re.escape(key)}[\"']?\s*[:=]\s*([^\s#,}}]*)", line)
    return match[1] if match else None
