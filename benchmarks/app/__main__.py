"""The benchmark of the mesh app.

    make bench-app                                    everything but the peers, about 6 minutes
    make bench-app ARGS='--with-peers --markdown'     with the peers, and the tables as Markdown at the end

Servers, services and load generator share the cores of one machine, so each row also shows CPU time per request: that
figure stands when neighbours are noisy, the others do not. Exit code 1 when a budget of the table was missed.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.app import peers
from benchmarks.app.history import History
from benchmarks.app.load import LoadSpec
from benchmarks.app.machine import QUIET_LOAD, QUIET_SHARE, commit_to_disk_ms, cpu_seconds, facts, load_average, pss_mb
from benchmarks.app.measure import Measured, measure
from benchmarks.app.report import Row, markdown, plain
from benchmarks.app.scenarios import Scenario, scenarios, seed
from benchmarks.app.stack import ROOT, SERVICES, Stack, mesh_pids, running_hello, running_mesh, running_stack
from benchmarks.app.witness import witness

CREATE = "create agent through the gateway"


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description="Benchmark of the mesh app.")
    parser.add_argument("--with-peers", action="store_true", help="also measure ContextForge; installs it once")
    parser.add_argument("--quick", action="store_true", help="4 s per row instead of 20, for trying; not for quoting")
    parser.add_argument("--only", metavar="TEXT", default="", help="only rows whose name holds TEXT")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown besides")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", help="where results are kept")
    return parser.parse_args(arguments)


class Run:
    """Measures scenario after scenario and keeps what came out."""

    def __init__(self, chosen: argparse.Namespace, cores: int) -> None:
        self.chosen, self.cores = chosen, cores
        self.rows: list[Row] = []
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d-%H%M")
        self.history = History(chosen.results, f"{stamp}-app{'-quick' if chosen.quick else ''}")

    def wants(self, name: str) -> bool:
        return str(self.chosen.only) in name

    def time(self, spec: LoadSpec) -> LoadSpec:
        # A peer's own wish for a longer warm-up stays.
        spec.warm_up, spec.duration = (1.5, 4.0) if self.chosen.quick else (max(3.0, spec.warm_up), 20.0)
        return spec

    def measure(self, scenario: Scenario, pids: dict[str, int]) -> None:
        if not self.wants(scenario.name):
            return
        spec = self.time(scenario.spec)
        measured, result = measure(scenario.name, spec, pids, self.cores, units=scenario.units, note=scenario.note)
        self.history.keep(len(self.rows), result)
        self.rows.append(Row(measured, scenario.budget))
        print(f"  {measured.figures.per_second:7.0f}/s  {measured.name} ({measured.mode})", file=sys.stderr, flush=True)

    def mesh(self, stack: Stack) -> dict[str, Any]:
        """All rows of the mesh; returns the memory of the idle services and what wrk says."""
        with running_mesh(stack) as mesh:
            memory = {name: round(pss_mb(mesh.processes[name].pid), 1) for name in SERVICES}
            second = None
            for scenario in scenarios(mesh, seed(mesh)):
                self.measure(scenario, {**mesh_pids(mesh, *scenario.services), **stack.pids})
                if scenario.budget.per_second and self.wants(scenario.name):
                    second = witness(scenario.spec, stack.directory)
            return {"idle_pss_mb": memory, "wrk": second}

    def peers(self, stack: Stack) -> dict[str, Any]:
        peers.install()
        with peers.running_contextforge(stack, self.cores) as peer:
            idle = idle_share(peer.pid)
            for name, spec in peer.specs.items():
                pids = {"contextforge": peer.pid, **stack.pids}
                self.measure(Scenario(name, ("contextforge",), spec), pids)
            return {"version": peer.version, "what_differs": peer.what_differs, "idle_share": idle}


def sentences(rows: list[Row], summary: dict[str, Any]) -> Iterator[str]:
    """What a reader shall know besides the table."""
    machine = summary["machine"]
    yield (
        f"machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, Linux {machine['kernel']}, "
        f"Python {machine['python']}, {machine['postgresql']}, one durable write {machine['fdatasync_ms']} ms"
    )
    if "idle_pss_mb" in summary:
        yield f"memory: six idle services {sum(summary['idle_pss_mb'].values()):.0f} MB PSS"
    if summary.get("wrk"):
        second = summary["wrk"]
        yield (
            f"{CREATE} as wrk sees it: {second['per_second']:.0f}/s, p50 {second['p50_ms']} ms, "
            f"p99 {second['p99_ms']} ms, {second['failed']:.0f} failed"
        )
    yield from (text for row in rows for text in row.verdicts())
    yield from ratios([row.measured for row in rows])
    if "peer" in summary:
        yield (
            f"{summary['peer']['version']} takes {summary['peer']['idle_share']:.0%} of one core with nothing to do; "
            f"that is in its CPU per request. {summary['peer']['what_differs']}"
        )
    yield from (f"not measured: {name}: {reason}" for name, reason in summary.get("not_measured", {}).items())
    noisy = [row.measured for row in rows if row.measured.foreign_share + row.measured.stolen_share > QUIET_SHARE]
    if noisy or summary["load_before"] > QUIET_LOAD:
        worst = max((row.foreign_share + row.stolen_share for row in noisy), default=0.0)
        yield (
            f"WARNING: the machine was not quiet (load {summary['load_before']} before, others took up to {worst:.0%} "
            "of it); throughput and latency are not to be quoted, CPU per request is good to about 20 %"
        )


def idle_share(pid: int, seconds: float = 5.0) -> float:
    """CPU of a server that nobody calls, as a share of one core."""
    before = cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / seconds


def ratios(rows: list[Measured]) -> Iterator[str]:
    ours = next((row for row in rows if row.name == CREATE and row.mode == "saturation"), None)
    for theirs in (row for row in rows if row.name.startswith("ContextForge")):
        if ours is None or not theirs.figures.per_second or not theirs.server_cpu_us:
            continue
        yield (
            f"{CREATE}: {ours.figures.per_second / theirs.figures.per_second:.1f} x the throughput of "
            f"'{theirs.name}', which spends {theirs.server_cpu_us / ours.server_cpu_us:.1f} x the CPU per request"
        )


def main() -> int:
    chosen = options()
    machine: dict[str, Any] = dict(facts())
    run = Run(chosen, int(machine["cores"]))
    summary: dict[str, Any] = {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
    summary |= {"quick": chosen.quick, "machine": machine, "load_before": round(load_average(), 2)}
    with ExitStack() as cleanup:
        stack = cleanup.enter_context(running_stack())
        machine["postgresql"] = "PostgreSQL " + stack.postgresql.sql("SHOW server_version")
        machine["fdatasync_ms"] = commit_to_disk_ms(stack.directory)
        with running_hello() as (url, pid):
            spec = LoadSpec(url, "POST", '{"name": "hello-%N%", "type": "chat", "vendor": "acme", "model": "m-1"}')
            run.measure(Scenario("bare uvicorn and starlette", ("hello",), spec), {"hello": pid})
        summary |= run.mesh(stack)
        if chosen.with_peers:
            summary["peer"] = run.peers(stack)
            summary["not_measured"] = peers.NOT_MEASURED
    measured = [row.measured for row in run.rows]
    said = list(sentences(run.rows, summary))
    path = run.history.finish({**summary, "rows": [asdict(row) for row in measured], "said": said})
    print(plain(measured), *said, sep="\n")
    if chosen.markdown:
        print("", markdown(measured), "", *(f"- {text}" for text in said), sep="\n")
    print(f"results: {path}")
    return 1 if any("MISSED" in text for text in said) else 0


if __name__ == "__main__":
    sys.exit(main())
