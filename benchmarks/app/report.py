"""The run as a table, for a terminal and as Markdown, with verdicts on the budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.app.measure import Measured
from benchmarks.app.scenarios import Budget

HEADER = (
    "what",
    "mode",
    "per s",
    "failed",
    "p50",
    "p95",
    "p99",
    "max ms",
    "server CPU µs/request, by process",
    "client",
    "others",
)


@dataclass(frozen=True)
class Row:
    measured: Measured
    budget: Budget

    def verdicts(self) -> list[str]:
        """One sentence for each limit of the budget, beginning with `ok` or `MISSED`; failures miss any budget."""
        figures, said = self.measured.figures, []
        if self.budget.per_second is not None:
            kept = figures.per_second >= self.budget.per_second
            said.append(_verdict(kept, f"{figures.per_second:.0f}/s, wanted at least {self.budget.per_second:.0f}/s"))
        if self.budget.p95_ms is not None:
            kept = figures.p95_ms <= self.budget.p95_ms
            said.append(_verdict(kept, f"p95 {figures.p95_ms} ms, wanted at most {self.budget.p95_ms:.0f} ms"))
        if self.budget.units_per_core_second is not None:
            spent = self.measured.cpu_us[self.budget.service]
            rate = self.measured.units / spent * 1e6 if spent else 0.0
            wanted = self.budget.units_per_core_second
            text = f"{rate:.0f} samples per second of {self.budget.service}'s CPU, wanted at least {wanted:.0f}"
            said.append(_verdict(rate >= wanted, text))
        if said and figures.failed:
            said.append(f"MISSED: {figures.failed} requests failed {figures.failures}")
        return [f"{self.measured.name} ({self.measured.mode}): {text}" for text in said]


def _verdict(kept: bool, text: str) -> str:
    return f"{'ok' if kept else 'MISSED'}: {text}"


def cells(measured: Measured) -> tuple[str, ...]:
    figures = measured.figures
    per_second = f"{figures.per_second:.0f}"
    if measured.units > 1:
        per_second += f" ({figures.per_second * measured.units:.0f} samples)"
    failed = "0" if not figures.failed else f"{figures.failed} = {figures.failed_share:.1%} {figures.failures}"
    cpu = " + ".join(f"{name} {value:.0f}" for name, value in measured.cpu_us.items())
    name = measured.name + (f" ({measured.note})" if measured.note else "")
    return (
        name,
        measured.mode,
        per_second,
        failed,
        f"{figures.p50_ms:.1f}",
        f"{figures.p95_ms:.1f}",
        f"{figures.p99_ms:.1f}",
        f"{figures.max_ms:.0f}",
        f"{measured.server_cpu_us:.0f} = {cpu}",
        f"{measured.client_cpu_us:.0f}",
        f"{measured.foreign_share + measured.stolen_share:.0%}",
    )


def markdown(rows: Sequence[Measured]) -> str:
    lines = [HEADER, ("---",) * len(HEADER), *(cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plain(rows: Sequence[Measured]) -> str:
    lines = [HEADER, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
