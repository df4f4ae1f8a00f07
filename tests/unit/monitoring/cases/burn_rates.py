"""Rates, error ratios and the error budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..claims import Case, Series, fires, milliseconds, told
from .services import ERRORS, REGISTRY, REQUESTS, SUM, counted, traffic

HALF, NONE = "half of the requests fail", "nothing fails"
IDLE, NOBODY = "nobody calls", "there is no service"


@dataclass(frozen=True)
class Pace:
    """Time between two values of a series, and between two evaluations: as coarse as the window allows."""

    step: str
    every: str

    def steps(self, window: str) -> int:
        return milliseconds(window) // milliseconds(self.step)


FINE, MINUTES, COARSE, COARSEST = Pace("15s", "15s"), Pace("1m", "1m"), Pace("1m", "5m"), Pace("150s", "30m")


def recorded(window: str, pace: Pace) -> list[Case]:
    """What is kept of a window when it is full: of two routes, of errors, after a restart, without traffic."""
    count = pace.steps(window) + pace.steps(pace.every)
    requests, errors, ratio = (f"service:ai_mesh_{what}:rate{window}" for what in ("requests", "errors", "error_ratio"))
    half = count // 2
    second = milliseconds(pace.step) // 1000
    at = f"{count * milliseconds(pace.step)}ms"

    def steady(rate: int) -> str:
        """A counter that rises by `rate` a second."""
        return f"0+{rate * second}x{count}"

    def restarted(rate: int) -> str:
        """The same, and it begins anew in the middle."""
        return f"0+{rate * second}x{half} {rate * second}+{rate * second}x{count - half}"

    def mixed(counter: Callable[[int], str]) -> Series:
        return (
            counted(REQUESTS, "200", counter(3))
            | counted(REQUESTS, "200", counter(1), route="/api/v1/search")
            | counted(REQUESTS, "500", counter(4))
            | counted(ERRORS, "500", counter(4))
            | counted(ERRORS, "503", f"0+0x{count}")
        )

    def case(rule: str, says: str, series: Series, value: float | None = None) -> Case:
        values = {} if value is None else {rule + SUM: value}
        return Case(rule, says, series, at, values=values, step=pace.step, every=pace.every)

    quiet, fine = traffic(f"9+0x{count}", f"4+0x{count}"), counted(REQUESTS, "200", steady(8))
    return [
        case(requests, HALF, mixed(steady), 8),
        case(requests, f"{HALF}, and counters begin anew", mixed(restarted), 8),
        case(requests, IDLE, quiet, 0),
        case(requests, NOBODY, {}),
        case(errors, HALF, mixed(steady), 4),
        case(errors, "no error was ever counted", fine, 0),
        case(errors, NOBODY, {}),
        case(ratio, HALF, mixed(steady), 0.5),
        case(ratio, f"{HALF}, and counters begin anew", mixed(restarted), 0.5),
        case(ratio, NONE, fine, 0),
        case(ratio, IDLE, quiet),
        case(ratio, NOBODY, {}),
    ]


@dataclass(frozen=True)
class Burning:
    """How an alert of the error budget is brought about."""

    alert: str
    severity: str
    long: str
    short: str
    pace: Pace
    requests: float
    """Of a step: more than enough to mean something within the short window, and less than ten times as many."""
    share: float
    """Of them that fail: above the limit, and less than ten times above it."""
    held: str
    just_now: float
    """Share that passes the limit over the short window when it began `held` ago, and not over the long one."""


def burn(told_of: Burning, summary: str, description: str) -> list[Case]:
    pace, requests, share = told_of.pace, told_of.requests, told_of.share
    count = pace.steps(told_of.long) + pace.steps(told_of.held) + pace.steps("30m")
    end, at = f"x{count}", f"{count * milliseconds(pace.step)}ms"
    # Older than the short window, and the first half of the long one.
    past = count - pace.steps(told_of.long) // 2
    recent = pace.steps(told_of.held) + pace.steps("10m") // 3
    fade = f"{2 * milliseconds(told_of.short)}ms"

    def case(says: str, ok: str, failed: str) -> Case:
        return Case(told_of.alert, says, traffic(ok, failed), at, step=pace.step, every=pace.every, fade=fade)

    steady = f"0+{requests:g}{end}"
    positive = replace(
        case(f"errors use it up over {told_of.long}, and still do", steady, f"0+{requests * share:g}{end}"),
        fires=fires(told(told_of.severity, REGISTRY), summary, description),
        not_yet=told_of.held,
    )
    return [
        positive,
        case("a twentieth as many fail", steady, f"0+{requests * share / 20:g}{end}"),
        case("many failed, and it is over", steady, f"0+{requests}x{past} {requests * past:g}+0{end}"),
        case("it began just now", steady, f"0+0x{count - recent} 0+{requests * told_of.just_now:g}{end}"),
        case("nobody calls", f"9+0{end}", f"9+0{end}"),
        case("few requests fail", f"0+{requests / 100:g}{end}", f"0+{requests / 100 * share:g}{end}"),
        case("there is no service", "_", "_"),
    ]


CASES = [
    *recorded("5m", FINE),
    *recorded("30m", MINUTES),
    *recorded("1h", MINUTES),
    *recorded("2h", COARSE),
    *recorded("6h", COARSE),
    *recorded("1d", COARSEST),
    *recorded("3d", COARSEST),
    *burn(
        Burning("ErrorBudgetBurnFast", "critical", "1h", "5m", MINUTES, 20, 0.05, "2m", 0.2),
        "registry uses up its error budget",
        "registry failed 4.762% of its requests within 1h, and goes on so. An availability of "
        "99.9% leaves 0.1%; the limit of this alert is 14.4 times that.",
    ),
    *burn(
        Burning("ErrorBudgetBurnMedium", "critical", "6h", "30m", COARSE, 3, 0.03, "15m", 0.1),
        "registry uses up its error budget",
        "registry failed 2.913% of its requests within 6h, and goes on so. An availability of "
        "99.9% leaves 0.1%; the limit of this alert is 6 times that.",
    ),
    *burn(
        Burning("ErrorBudgetBurnSlow", "ticket", "1d", "2h", COARSEST, 2.5, 0.015, "1h", 0.05),
        "registry uses up its error budget",
        "registry failed 1.478% of its requests within 1d, and goes on so. An availability of "
        "99.9% leaves 0.1%; the limit of this alert is 3 times that.",
    ),
    *burn(
        Burning("ErrorBudgetBurnCreeping", "ticket", "3d", "6h", COARSEST, 0.75, 0.005, "1h", 0.05),
        "registry uses up its error budget",
        "registry failed 0.4975% of its requests within 3d, and goes on so. An availability of "
        "99.9% leaves 0.1%; the limit of this alert is 1 times that.",
    ),
]
