"""Programs that read their configuration again on SIGHUP, and say in their metrics whether and when they did."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

TIMEOUT_S = 15.0
EVERY_S = 0.2
ANSWER_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Hangup:
    """`check`: its own look at a configuration file, which is named last. `name`: what its metrics begin with."""

    check: tuple[str, ...]
    name: str


PROGRAMS = {
    "prometheus": Hangup(("promtool", "check", "config"), "prometheus"),
    "prometheus-alertmanager": Hangup(("amtool", "check-config"), "alertmanager"),
}


@dataclass(frozen=True)
class Loaded:
    """`at`: when it last loaded a configuration, in seconds since the epoch; `well`: whether its last attempt did."""

    at: float = 0.0
    well: bool = False


def hangup_of(command: Sequence[str]) -> Hangup | None:
    """How the program of a container's command reloads; None for one that does it otherwise, or not."""
    return PROGRAMS.get(PurePosixPath(command[0]).name) if command else None


def option_of(command: Sequence[str], name: str) -> str:
    """Value of an option given as `--name=value`. Raises LookupError."""
    found = [word.partition("=")[2] for word in command if word.startswith(f"--{name}=")]
    if not found:
        raise LookupError(f"its command has no --{name}")
    return found[-1]


def loaded_of(metrics: str, name: str) -> Loaded:
    """What a program's metrics say of its last reloads. Raises LookupError when they say nothing."""
    values = dict(line.split(" ", 1) for line in metrics.splitlines() if line.startswith(f"{name}_config_last_reload"))
    try:
        return Loaded(
            at=float(values[f"{name}_config_last_reload_success_timestamp_seconds"]),
            well=float(values[f"{name}_config_last_reload_successful"]) == 1,
        )
    except KeyError as error:
        raise LookupError(f"its metrics have no {error}") from None


def ask(address: str, name: str) -> Loaded:
    """The same from its listener, `address:port`. Raises OSError, LookupError."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=ANSWER_TIMEOUT_S) as answer:
        return loaded_of(answer.read().decode(errors="replace"), name)


def hang_up(
    signal: Callable[[], object], look: Callable[[], Loaded], timeout_s: float = TIMEOUT_S, every_s: float = EVERY_S
) -> str:
    """Send the signal and wait until the configuration is loaded; why it was not, or nothing."""
    seen = ""
    try:
        before = look()
    except (OSError, LookupError) as error:
        return f"it cannot be asked what it has loaded: {error}"
    signal()
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        time.sleep(every_s)
        try:
            now = look()
        except (OSError, LookupError) as error:
            seen = str(error)
            continue
        if now.well and now.at > before.at:
            return ""
        if before.well and not now.well:
            return "it refuses the new configuration; its log says why"
        seen = "it goes on with the old configuration"
    return f"nothing new loaded within {timeout_s:g} s: {seen}"
