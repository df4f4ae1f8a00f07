"""A document with secrets in it → the Jinja text that `File.inline` takes.

The document is written as JSON, which is YAML too. Whatever a secret's value holds, it arrives as that value: it is
put in as a JSON string at the moment of rendering.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

JINJA_OPENS = re.compile(r"\{(?=[{%#])")
PLACE = re.compile(r'"\\u0000(\d+)\\u0000"')
"""Where a secret goes in the dumped document; no text of a plan has the character NUL."""


@dataclass(frozen=True)
class Secret:
    """A value of the document that is the secret `name`."""

    name: str
    go_template: bool = False
    """True where the reader takes the value for a Go template."""

    def expression(self) -> str:
        literal = """ | replace("{{", "{{`{{`}}")""" if self.go_template else ""
        return "{{ secrets." + self.name + literal + " | to_json }}"


def go_literal(text: str) -> str:
    """Text that means itself where a Go template is expected."""
    return text.replace("{{", "{{`{{`}}")


def secret_text(document: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The Jinja text of a document whose values may be `Secret`, and the names of these secrets, each once."""
    found: list[Secret] = []

    def place(value: Any) -> str:
        if not isinstance(value, Secret):
            raise TypeError(f"{value!r} cannot be written as JSON")
        found.append(value)
        return f"\0{len(found) - 1}\0"

    text = json.dumps(document, indent=2, ensure_ascii=False, default=place) + "\n"
    # Only strings have a brace before these characters, so the document's own structure is not touched.
    text = JINJA_OPENS.sub("{{ '{' }}", text)
    text = PLACE.sub(lambda match: found[int(match[1])].expression(), text)
    return text, tuple(dict.fromkeys(secret.name for secret in found))
