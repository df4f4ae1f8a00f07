"""Rules from MESH_POLICY_FILE. Each kind of rule finds places in a prompt; its effect says what follows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import re2
from msgspec import Meta

from mesh.core.log import log
from mesh.core.secrets import ConfigError

Effect = Literal["deny", "redact"]
Identifier = Annotated[str, Meta(min_length=1, max_length=100)]
Span = tuple[int, int]
MASK = "[redacted]"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", kw_only=True):
    """What every kind of rule has."""

    id: Identifier
    effect: Effect
    reason: str = ""


class KeywordRule(Rule, frozen=True, tag="keyword"):
    """Phrases, whatever their case."""

    any: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(min_length=1)]


class RegexRule(Rule, frozen=True, tag="regex"):
    """A pattern in RE2 syntax, which runs in time linear to the prompt."""

    pattern: Annotated[str, Meta(min_length=1)]


class SizeRule(Rule, frozen=True, tag="size"):
    """A limit of characters; it can only deny."""

    max_chars: Annotated[int, Meta(ge=1)]


class PolicyFile(msgspec.Struct, frozen=True):
    rules: list[KeywordRule | RegexRule | SizeRule]


@dataclass(frozen=True)
class Finding:
    rule: str
    effect: Effect
    reason: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Outcome:
    """`decision` is allow, deny or redact; `redacted` is the prompt to use instead when it is redact."""

    decision: str
    reasons: tuple[Finding, ...]
    redacted: str | None


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


class _Matcher:
    """A rule made ready: patterns compiled once."""

    def __init__(self, rule: KeywordRule | RegexRule | SizeRule) -> None:
        self.rule = rule
        if isinstance(rule, KeywordRule):
            self._pattern: Any = _compile("(?i)" + "|".join(re2.escape(phrase) for phrase in rule.any))
        elif isinstance(rule, RegexRule):
            self._pattern = _compile(rule.pattern)

    def spans(self, prompt: str) -> tuple[Span, ...]:
        if isinstance(self.rule, SizeRule):
            return ((0, len(prompt)),) if len(prompt) > self.rule.max_chars else ()
        return tuple(match.span() for match in self._pattern.finditer(prompt) if match.end() > match.start())


class RuleSet:
    """All rules of one version; `version` is a digest of their content."""

    def __init__(self, rules: Sequence[KeywordRule | RegexRule | SizeRule]) -> None:
        canonical = msgspec.json.encode(list(rules), order="sorted")
        self.version = f"sha256:{hashlib.sha256(canonical).hexdigest()[:16]}"
        self._matchers = [_Matcher(rule) for rule in rules]

    def decide(self, prompt: str) -> Outcome:
        """Deny outweighs redact, redact outweighs allow; every rule that matched is a reason."""
        findings = []
        for matcher in self._matchers:
            spans = matcher.spans(prompt)
            if spans:
                findings.append(Finding(matcher.rule.id, matcher.rule.effect, matcher.rule.reason, spans))
        effects = {finding.effect for finding in findings}
        if "deny" in effects:
            return Outcome("deny", tuple(findings), None)
        if "redact" in effects:
            return Outcome(
                "redact", tuple(findings), mask(prompt, [span for finding in findings for span in finding.spans])
            )
        return Outcome("allow", (), None)


def mask(prompt: str, spans: Sequence[Span]) -> str:
    """The prompt with each span (overlapping ones as one) replaced by MASK."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    parts, at = [], 0
    for start, end in merged:
        parts += [prompt[at:start], MASK]
        at = end
    return "".join([*parts, prompt[at:]])


def load_rules(path: Path) -> RuleSet:
    """Raises ConfigError with one sentence that names the file and the rule."""
    try:
        parsed = msgspec.json.decode(path.read_bytes(), type=PolicyFile)
    except OSError as error:
        raise ConfigError(f"the policy rules in {path} cannot be read ({error.strerror}); restore the file.") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"the policy rules in {path} are not valid: {error}.") from None
    seen: set[str] = set()
    for rule in parsed.rules:
        if rule.id in seen:
            raise ConfigError(f"the policy rules in {path} name {rule.id!r} twice; ids are unique.")
        seen.add(rule.id)
        if isinstance(rule, SizeRule) and rule.effect != "deny":
            raise ConfigError(f"rule {rule.id!r} in {path} is of kind size with effect {rule.effect!r}; allowed: deny.")
        if isinstance(rule, RegexRule):
            try:
                _compile(rule.pattern)
            except re2.error as error:
                reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
                raise ConfigError(f"rule {rule.id!r} in {path} is not a valid RE2 pattern: {reason}.") from None
    return RuleSet(parsed.rules)


class RuleSource:
    """The current rules; the file is looked at once a second at most, and a bad one never replaces a good one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._looked_at = float("-inf")
        self.rules: RuleSet | None = None
        self.error: str | None = None

    def current(self, now: float) -> RuleSet | None:
        """Rules to decide by, or None while there never were valid ones. `now` is monotonic seconds."""
        if now - self._looked_at >= 1.0:
            self._looked_at = now
            self._look()
        return self.rules

    def _look(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp and self.error is None:
                return
            self.rules = load_rules(self._path)
            self._stamp, self.error = stamp, None
        except OSError as error:
            self._refuse(f"the policy rules in {self._path} cannot be read ({error.strerror}); restore the file.")
        except ConfigError as error:
            self._refuse(str(error))

    def _refuse(self, reason: str) -> None:
        if reason != self.error:
            kept = self.rules.version if self.rules else None
            log.warning("policy rules refused", extra={"fields": {"error": reason, "still_deciding_by": kept}})
        self.error = reason
