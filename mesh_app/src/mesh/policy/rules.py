"""Rules made ready to decide by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import re2
from msgspec import UNSET

from mesh.core.secrets import ConfigError
from mesh.policy.rule import AnyRule, Effect, KeywordRule, PolicyFile, RateRule, RegexRule, RoleRule, SizeRule, fault

Span = tuple[int, int]
MASK = "[redacted]"


@dataclass(frozen=True)
class Question:
    """What is to be decided. `exceeded` holds the rate rules that this request breaks, each with its reason."""

    prompt: str
    role: str
    exceeded: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    rule: str
    effect: Effect
    reason: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """`decision` is allow, deny or redact; `redacted` is the prompt to use instead when it is redact."""

    decision: str
    reasons: tuple[Finding, ...]
    redacted: str | None = None


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


class _Matcher:
    """A rule made ready: patterns compiled once."""

    def __init__(self, rule: AnyRule) -> None:
        self.rule = rule
        self.overrides = frozenset(rule.overrides or ())
        if isinstance(rule, KeywordRule):
            self._pattern: Any = _compile("(?i)" + "|".join(re2.escape(phrase) for phrase in rule.any))
        elif isinstance(rule, RegexRule):
            self._pattern = _compile(rule.pattern)

    def finding(self, question: Question) -> Finding | None:
        """What the rule has to say of the question, None when it does not apply."""
        rule, prompt = self.rule, question.prompt
        reason, spans = rule.reason, ()
        if isinstance(rule, RateRule):
            if rule.id not in question.exceeded:
                return None
            reason = question.exceeded[rule.id]
        elif isinstance(rule, RoleRule):
            if (question.role in rule.roles) != (rule.effect == "allow"):
                return None
        elif isinstance(rule, SizeRule):
            if len(prompt) <= rule.max_chars:
                return None
        else:
            spans = tuple(match.span() for match in self._pattern.finditer(prompt) if match.end() > match.start())
            if not spans:
                return None
        return Finding(rule.id, rule.effect, reason, spans)


class RuleSet:
    """All rules of one version, which is a digest of their content. Raises ConfigError for rules that do not fit."""

    def __init__(self, document: PolicyFile) -> None:
        wrong = fault(document.rules)
        if wrong is not None:
            raise ConfigError(wrong)
        content = document.rules if document.mask is UNSET else document
        self.document = document
        self.version = f"sha256:{hashlib.sha256(msgspec.json.encode(content, order='sorted')).hexdigest()[:16]}"
        self.rates = tuple(rule for rule in document.rules if isinstance(rule, RateRule))
        self.masked = frozenset(document.mask or ())
        self._matchers = []
        for rule in document.rules:
            try:
                self._matchers.append(_Matcher(rule))
            except re2.error as error:
                text = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
                raise ConfigError(f"have {rule.id!r} with a pattern that is not valid in RE2: {text}") from None

    def decide(self, question: Question) -> Outcome:
        """Deny outweighs redact, redact outweighs allow, and an allow rule takes away what it overrides.

        The reasons are all rules that count, and the allow rules that took one away.
        """
        found = [(matcher, finding) for matcher in self._matchers if (finding := matcher.finding(question)) is not None]
        raised = {finding.rule for _, finding in found if finding.effect != "allow"}
        exempt = {rule for matcher, finding in found if finding.effect == "allow" for rule in matcher.overrides}
        reasons = tuple(
            finding
            for matcher, finding in found
            if (matcher.overrides & raised if finding.effect == "allow" else finding.rule not in exempt)
        )
        effects = {finding.effect for finding in reasons}
        if "deny" in effects:
            return Outcome("deny", reasons)
        if "redact" in effects:
            spans = [span for finding in reasons if finding.effect == "redact" for span in finding.spans]
            return Outcome("redact", reasons, mask(question.prompt, spans))
        return Outcome("allow", reasons)


def load_rules(path: Path) -> RuleSet:
    """Raises ConfigError with one sentence that names the file and the rule."""
    try:
        return RuleSet(msgspec.json.decode(path.read_bytes(), type=PolicyFile))
    except OSError as error:
        raise ConfigError(f"the policy rules in {path} cannot be read ({error.strerror}); restore the file.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"the policy rules in {path} are not valid: {error}.") from None
    except ConfigError as error:
        raise ConfigError(f"the policy rules in {path} {error}.") from None


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
