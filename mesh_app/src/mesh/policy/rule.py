"""What a rule may say. Each kind finds something in a prompt or about its caller; its effect says what follows."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mesh.access.tokens import ROLES

Effect = Literal["deny", "redact", "allow"]
Identifier = Annotated[str, Meta(min_length=1, max_length=100)]
Maskable = Literal["user_id", "agent_id"]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", kw_only=True):
    """What every kind of rule has. `overrides` goes with the effect allow: the rules that it exempts from."""

    id: Identifier
    effect: Effect
    reason: str = ""
    # Unset, not empty: the version of rules that do without is the same as in releases that did not know it.
    overrides: list[Identifier] | UnsetType = UNSET


class KeywordRule(Rule, frozen=True, tag="keyword"):
    """Phrases, whatever their case."""

    any: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(min_length=1)]


class RegexRule(Rule, frozen=True, tag="regex"):
    """A pattern in RE2 syntax, which runs in time linear to the prompt."""

    pattern: Annotated[str, Meta(min_length=1)]


class SizeRule(Rule, frozen=True, tag="size"):
    """A limit of characters; it can only deny."""

    max_chars: Annotated[int, Meta(ge=1)]


class RateRule(Rule, frozen=True, tag="rate"):
    """At most `requests` in any `seconds`, of one user or agent, over all replicas; it can only deny."""

    requests: Annotated[int, Meta(ge=1, le=1_000_000)]
    seconds: Annotated[int, Meta(ge=1, le=86400)]
    per: Maskable = "user_id"


class RoleRule(Rule, frozen=True, tag="role"):
    """Privileged roles of the caller: with deny it hits everybody else, with allow it exempts who has one of them."""

    roles: Annotated[list[str], Meta(min_length=1)]


AnyRule = KeywordRule | RegexRule | SizeRule | RateRule | RoleRule
_EFFECTS: dict[type[Rule], tuple[Effect, ...]] = {
    SizeRule: ("deny",),
    RateRule: ("deny",),
    RoleRule: ("deny", "allow"),
}


class PolicyFile(msgspec.Struct, frozen=True):
    """The rules, and what of a request's context the decision log must not name."""

    rules: list[AnyRule]
    mask: list[Maskable] | UnsetType = UNSET


def fault(rules: list[AnyRule]) -> str | None:
    """What is wrong with the rules beyond their shape, as the end of a sentence about them; None when nothing is."""
    ids = [rule.id for rule in rules]
    for rule in rules:
        kind, allowed = str(rule.__struct_config__.tag), _EFFECTS.get(type(rule), ("deny", "redact", "allow"))
        overrides = rule.overrides or []
        if ids.count(rule.id) > 1:
            return f"name {rule.id!r} twice; ids are unique"
        if rule.effect not in allowed:
            return f"have {rule.id!r} of kind {kind} with effect {rule.effect!r}; allowed: {', '.join(allowed)}"
        if (rule.effect == "allow") != bool(overrides):
            return f"have {rule.id!r} with effect {rule.effect!r}; overrides belongs to allow, and allow needs it"
        unknown = [name for name in overrides if name not in ids or name == rule.id]
        if unknown:
            return f"have {rule.id!r} override {unknown[0]!r}, which is no other rule of theirs"
        strange = [role for role in rule.roles if role not in ROLES] if isinstance(rule, RoleRule) else []
        if strange:
            return f"have {rule.id!r} with the role {strange[0]!r}; allowed: {', '.join(ROLES)}"
    return None
