"""Kinds of value a variable can have: each checks, coerces as argument_specs does, and says what it allows."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems, closest, origin_of, shown

INVALID: Any = object()
"""Stands for a value that was refused; whoever holds it goes on with the default, to find the other problems too."""
OR_LEAVE_OUT = "correct it, or leave it out to have the default"
TRUE_WORDS = ("true", "yes", "on", "1")
FALSE_WORDS = ("false", "no", "off", "0")
VERSION = re.compile(r"\d+\.\d+\.\d+")
RELEASE_ID = re.compile(r"\d+\.\d+\.\d+\+[0-9a-f]{8}")


class Kind(Protocol):
    """`check` returns the coerced value, or INVALID after it has said why."""

    @property
    def name(self) -> str: ...

    def allowed(self) -> str: ...

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any: ...


@dataclass(frozen=True)
class Text:
    """A text that matches a pattern as a whole; `rule` says the pattern in words."""

    rule: str
    pattern: str = r"[\s\S]+"
    longest: int = 200
    name: str = "text"

    def allowed(self) -> str:
        return self.rule

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        if isinstance(value, str) and len(value) <= self.longest and re.fullmatch(self.pattern, value):
            return value
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


@dataclass(frozen=True)
class Choice:
    """One of some words. `truth` maps YAML's bare on/off, which arrive as booleans."""

    values: tuple[str, ...]
    truth: tuple[str, str] | None = None
    name: str = "choice"

    def allowed(self) -> str:
        return ", ".join(self.values)

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        if isinstance(value, bool) and self.truth:
            return self.truth[0] if value else self.truth[1]
        if isinstance(value, str) and value in self.values:
            return value
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


@dataclass(frozen=True)
class Integer:
    """A whole number between two bounds, both included."""

    least: int
    most: int
    name: str = "whole number"

    def allowed(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,18}", value.strip()) else value
        if isinstance(number, int) and not isinstance(number, bool) and self.least <= number <= self.most:
            return number
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


@dataclass(frozen=True)
class Number:
    """A number between two bounds, both included."""

    least: float
    most: float
    name: str = "number"

    def allowed(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        number = float(value) if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?", value.strip()) else value
        if isinstance(number, int | float) and not isinstance(number, bool) and self.least <= number <= self.most:
            return float(number)
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


@dataclass(frozen=True)
class Boolean:
    name: str = "boolean"

    def allowed(self) -> str:
        return "true or false"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        word = str(value).lower() if isinstance(value, bool | str | int) else ""
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


@dataclass(frozen=True)
class Version:
    """A version in three parts, or a full release id. A bare YAML number has lost its text, so it is refused."""

    name: str = "version"

    def allowed(self) -> str:
        return 'a version in three parts in quotes, as "1.0.0", or a full release id, as "1.0.0+0123abcd"'

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        if isinstance(value, str) and (VERSION.fullmatch(value) or RELEASE_ID.fullmatch(value)):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            origin = origin_of(path, problems.origins)
            written = (origin.written if origin else None) or str(value)
            full = ".".join([*written.split("."), "0", "0"][:3])
            problems.say(path, f'is {written}, which YAML reads as a number; put it in quotes: {path}: "{full}"')
            return INVALID
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


@dataclass(frozen=True)
class Address:
    """An IPv4 address of one host."""

    name: str = "IPv4 address"

    def allowed(self) -> str:
        return "the IPv4 address of one host, as 192.0.2.10"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        if is_host_address(value):
            return value
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


def is_host_address(value: Any) -> bool:
    """Whether a value is the text of an IPv4 address that one host can have."""
    if not isinstance(value, str):
        return False
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_multicast or value == "255.255.255.255")


PRIVATE_NETWORKS = tuple(ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


@dataclass(frozen=True)
class PrivateSubnet:
    """An IPv4 network of 256 addresses out of the private ranges."""

    name: str = "IPv4 network"

    def allowed(self) -> str:
        return "a private IPv4 network with prefix 24, as 172.29.64.0/24"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        try:
            network = ipaddress.IPv4Network(value) if isinstance(value, str) else None
        except ValueError:
            network = None
        if network and network.prefixlen == 24 and any(network.subnet_of(wide) for wide in PRIVATE_NETWORKS):
            return str(network)
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


@dataclass(frozen=True)
class Network:
    """An IPv4 network as address and prefix."""

    name: str = "IPv4 network"

    def allowed(self) -> str:
        return "an IPv4 network, as 192.0.2.0/24"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        try:
            return str(ipaddress.IPv4Network(value if isinstance(value, str) and "/" in value else None))
        except ValueError:
            problems.wrong(path, value, self.allowed(), remedy)
            return INVALID


def _decoded(value: Any) -> Any:
    """A container that came as JSON text, as `-e mesh_scale='{"registry": 3}'` does."""
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


@dataclass(frozen=True)
class Fields:
    """A mapping with known keys, each of its own kind; a key may be left out unless it is required."""

    fields: MappingType[str, Kind]
    required: tuple[str, ...] = ()
    name: str = "mapping"

    def allowed(self) -> str:
        return f"a mapping with the keys {', '.join(self.fields)}"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        value = _decoded(value)
        if not isinstance(value, MappingType):
            problems.wrong(path, value, self.allowed(), remedy)
            return INVALID
        result: dict[str, Any] = {}
        for key, item in value.items():
            if key not in self.fields:
                problems.say(f"{path}.{key}", unknown_key(key, self.fields))
                continue
            hint = "correct it" if key in self.required else OR_LEAVE_OUT
            checked = self.fields[key].check(item, f"{path}.{key}", problems, hint)
            if checked is not INVALID:
                result[key] = checked
        for key in self.required:
            if key not in value:
                problems.say(path, f"has no {key}; allowed: {self.fields[key].allowed()}; add it")
        return result if all(key in result for key in self.required) else INVALID


@dataclass(frozen=True)
class MapOf:
    """A mapping from keys that match a pattern to values of one kind."""

    key_pattern: str
    key_rule: str
    item: Kind
    refused: MappingType[str, str] = field(default_factory=dict)
    """Key → what to do instead."""
    known: tuple[str, ...] = ()
    """All keys there are, where they can be listed: a near miss is then named."""
    name: str = "mapping"

    def allowed(self) -> str:
        return f"a mapping from {self.key_rule} to {self.item.allowed()}"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        value = _decoded(value)
        if not isinstance(value, MappingType):
            problems.wrong(path, value, self.allowed(), remedy)
            return INVALID
        result: dict[str, Any] = {}
        for key, item in value.items():
            here = f"{path}.{key}"
            if key in self.refused:
                problems.say(here, f"cannot be set here; {self.refused[key]}")
            elif not (isinstance(key, str) and re.fullmatch(self.key_pattern, key)):
                meant = closest(str(key), self.known)
                hint = f"did you mean {meant}?" if meant else f"allowed: {self.key_rule}; remove or correct it"
                problems.say(here, f"is not a known key; {hint}")
            else:
                checked = self.item.check(item, here, problems, OR_LEAVE_OUT)
                if checked is not INVALID:
                    result[key] = checked
        return result


@dataclass(frozen=True)
class ListOf:
    """A list of at least `least` items of one kind; `unique` names a key that must differ between them."""

    item: Kind
    unique: str = ""
    least: int = 0
    name: str = "list"

    def allowed(self) -> str:
        return f"a list, each item {self.item.allowed()}"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        value = _decoded(value)
        if not isinstance(value, list):
            problems.wrong(path, value, self.allowed(), remedy)
            return INVALID
        if len(value) < self.least:
            problems.say(path, f"has {len(value)} items; allowed: {self.least} or more; add {self.item.allowed()}")
        result = [self.item.check(item, f"{path}[{number}]", problems, remedy) for number, item in enumerate(value)]
        good = [item for item in result if item is not INVALID]
        if self.unique:
            seen: dict[Any, int] = {}
            for number, item in enumerate(result):
                name = item.get(self.unique) if isinstance(item, dict) else None
                if name is not None and name in seen:
                    problems.say(
                        f"{path}[{number}].{self.unique}",
                        f"is {shown(name)}, as that of item {seen[name]}; give it another {self.unique}",
                    )
                elif name is not None:
                    seen[name] = number
        return good


@dataclass(frozen=True)
class OneOf:
    """A mapping whose key `tag` says which of several sets of keys it has."""

    tag: str
    variants: MappingType[str, Fields]
    name: str = "mapping"

    def allowed(self) -> str:
        forms = "; ".join(f"{self.tag} {key}: {', '.join(form.fields)}" for key, form in self.variants.items())
        return f"a mapping by its {self.tag} ({forms})"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        if not isinstance(value, MappingType):
            problems.wrong(path, value, self.allowed(), remedy)
            return INVALID
        if self.tag not in value:
            problems.say(path, f"has no {self.tag}; allowed: {', '.join(self.variants)}; add it")
            return INVALID
        form = self.variants.get(value[self.tag]) if isinstance(value[self.tag], str) else None
        if form is None:
            problems.wrong(f"{path}.{self.tag}", value[self.tag], ", ".join(self.variants), "correct it")
            return INVALID
        return form.check(value, path, problems, remedy)


_TOKEN = re.compile(
    r"""
    (?P<foreign> \\[1-9](?![0-7]{2}) | \\[ZuUN] | [*+?}]\+
        | \(\?(?: <?[=!] | P= | > | \( | \# | [a-zA-Z-]*[aLux][a-zA-Z-]*[:)] )
        | \{(?:\d*,)?(?: [2-9]\d{3,} | 1\d{4,} | 1(?!000)\d{3} ) )
    | \\.
    | \[\^?\]?(?:\\[^uUN]|[^\]\\])*\]
    """,
    re.VERBOSE | re.DOTALL,
)
"""What Python knows and RE2 does not; escapes and classes are passed over as a whole."""


@dataclass(frozen=True)
class Regex:
    """A regular expression that Python can compile and that has nothing of what RE2 leaves out.

    The policy service runs it in RE2, which the controller does not have.
    """

    name: str = "regular expression"

    def allowed(self) -> str:
        return "a regular expression"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        if not isinstance(value, str) or not value:
            problems.wrong(path, value, self.allowed(), remedy)
            return INVALID
        try:
            re.compile(value)
        except re.error as error:
            problems.say(
                path, f"is {shown(value)}, which is not a regular expression ({error.msg}); correct the pattern"
            )
            return INVALID
        foreign = next((match["foreign"] for match in _TOKEN.finditer(value) if match["foreign"]), None)
        if foreign:
            problems.say(
                path,
                f"is {shown(value)}, of which RE2 does not know {shown(foreign)}; "
                "write it in the syntax of RE2 (github.com/google/re2/wiki/Syntax)",
            )
            return INVALID
        return value


@dataclass(frozen=True)
class Scalar:
    """A text, number or boolean, kept as the text that a configuration file takes."""

    name: str = "text or number"

    def allowed(self) -> str:
        return "a text, a number, true or false"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        if isinstance(value, bool):
            return "on" if value else "off"
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, str) and not re.search(r"[\x00-\x1f]", value):
            return value
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


@dataclass(frozen=True)
class Cron:
    """The five time fields of a cron line."""

    name: str = "cron schedule"

    def allowed(self) -> str:
        return "five cron fields (minute, hour, day of month, month, day of week) in quotes, as '0 2 * * *'"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
        fields = value.split() if isinstance(value, str) else []
        if len(fields) == 5 and all(_cron_field(text, *bound) for text, bound in zip(fields, bounds, strict=True)):
            return value
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


@dataclass(frozen=True)
class Schedule(Cron):
    """A cron line, or a word for what has none."""

    name: str = "cron schedule, or none"
    word: str = "manual"

    def allowed(self) -> str:
        return f"{super().allowed()}, or {self.word}"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        return value if value == self.word else super().check(value, path, problems, remedy)


@dataclass(frozen=True)
class Calendar:
    """A calendar event of systemd, in the part of its language that names days and times."""

    name: str = "calendar event"

    def allowed(self) -> str:
        return "a calendar event of systemd in quotes, as 'Sun *-*-* 03:00:00'"

    def check(self, value: Any, path: str, problems: Problems, remedy: str) -> Any:
        if isinstance(value, str) and _CALENDAR.fullmatch(value):
            return value
        problems.wrong(path, value, self.allowed(), remedy)
        return INVALID


_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_DATE = r"\*-(?:\*|0[1-9]|1[0-2])-(?:\*|0[1-9]|[12]\d|3[01])"
_HOUR, _SIXTY = r"(?:[01]\d|2[0-3])", r"[0-5]\d"
_HOURS = rf"(?:\*|{_HOUR}(?:,{_HOUR})*|{_HOUR}/(?:[1-9]|1\d|2[0-3]))"
_TIME = rf"{_HOURS}:{_SIXTY}(?:/(?:[1-9]|[1-5]\d))?(?:,{_SIXTY})*(?::{_SIXTY})?"
_CALENDAR = re.compile(
    rf"(?:{_DAY}(?:\.\.{_DAY})?(?:,{_DAY}(?:\.\.{_DAY})?)* )?(?:{_DATE} )?{_TIME}|hourly|daily|weekly"
)
"""A part of what systemd takes, and nothing that it refuses or that is never due."""


def _cron_field(text: str, least: int, most: int) -> bool:
    for part in text.split(","):
        match = re.fullmatch(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/([1-9]\d?))?", part)
        if not match:
            return False
        numbers = [int(number) for number in match.groups()[:2] if number is not None]
        if any(not least <= number <= most for number in numbers) or numbers != sorted(numbers):
            return False
    return True


def unknown_key(key: Any, known: MappingType[str, Any]) -> str:
    """The sentence about a key that nobody knows, with the one that was probably meant."""
    meant = closest(str(key), known)
    if meant:
        return f"is not a known key; did you mean {meant}?"
    return f"is not a known key; allowed: {', '.join(known)}; remove or correct it"
