"""Secrets from files: read at the moment of use, refused when they are missing, short or guessable."""

from __future__ import annotations

from pathlib import Path

MINIMUM_LENGTH = 32
_MINIMUM_DISTINCT = 8
_GUESSABLE = ("changeme", "change-me", "password", "default", "example", "placeholder", "insecure")


class ConfigError(Exception):
    """The environment is not fit to start with; the message is one sentence for the operator."""


def read_secret(variable: str, path: str | None) -> str:
    """The content of the file that `variable` names, without the trailing newline.

    Raises ConfigError when the variable is unset, the file unreadable, or the secret shorter than 32 characters or
    guessable.
    """
    if not path:
        raise ConfigError(
            f"{variable} is not set; point it to a file with a secret of at least {MINIMUM_LENGTH} characters."
        )
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(
            f"{variable} names {path}, which cannot be read ({reason}); make it readable for this user."
        ) from None
    weakness = weakness_of(value)
    if weakness:
        raise ConfigError(
            f"The secret in {path} ({variable}) is {weakness}; "
            f"replace it with at least {MINIMUM_LENGTH} random characters."
        )
    return value


def weakness_of(value: str) -> str | None:
    """Why `value` cannot serve as a secret, or None."""
    if not value:
        return "empty"
    if len(value) < MINIMUM_LENGTH:
        return f"only {len(value)} characters long"
    lowered = value.lower()
    if len(set(value)) < _MINIMUM_DISTINCT or any(word in lowered for word in _GUESSABLE):
        return "a default or guessable value"
    return None
