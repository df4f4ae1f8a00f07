"""What an A2A agent card must have, version 1.0.

Derived from the messages AgentCard, AgentInterface, AgentSkill, SecurityScheme in a2aproject/A2A,
specification/a2a.proto at v1.0.1: a field is required where the proto says REQUIRED, and JSON names are in camelCase.
Empty lists count as missing where the protocol needs an entry to work with.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Given = Annotated[str, Meta(min_length=1)]


class Shape(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    pass


class Interface(Shape):
    url: Annotated[str, Meta(pattern=r"^https?://")]
    protocol_binding: Given
    protocol_version: Annotated[str, Meta(pattern=r"^\d+\.\d+$")]
    tenant: str | None = None


class Skill(Shape):
    id: Given
    name: Given
    description: Given
    tags: Annotated[list[Given], Meta(min_length=1)]
    examples: list[str] = []
    input_modes: list[str] = []
    output_modes: list[str] = []
    security_requirements: list[dict[str, Any]] = []


class Capabilities(Shape):
    streaming: bool | None = None
    push_notifications: bool | None = None
    extensions: list[dict[str, Any]] = []
    extended_agent_card: bool | None = None


class HttpAuth(Shape):
    scheme: Given
    description: str = ""
    bearer_format: str = ""


class SecurityScheme(Shape):
    """Of the kinds there are, the one that the mesh uses."""

    http_auth_security_scheme: HttpAuth


class Scopes(Shape):
    names: list[str] = msgspec.field(name="list")


class SecurityRequirement(Shape):
    schemes: dict[str, Scopes]


class AgentCard(Shape):
    name: Given
    description: Given
    supported_interfaces: Annotated[list[Interface], Meta(min_length=1)]
    version: Given
    capabilities: Capabilities
    default_input_modes: Annotated[list[Given], Meta(min_length=1)]
    default_output_modes: Annotated[list[Given], Meta(min_length=1)]
    skills: Annotated[list[Skill], Meta(min_length=1)]
    provider: dict[str, str] | None = None
    documentation_url: str | None = None
    security_schemes: dict[str, SecurityScheme] = {}
    security_requirements: list[SecurityRequirement] = []
    signatures: list[dict[str, Any]] = []
    icon_url: str | None = None


def read_card(body: bytes) -> AgentCard:
    """Raises msgspec.ValidationError with the place that does not fit."""
    return msgspec.json.decode(body, type=AgentCard)
