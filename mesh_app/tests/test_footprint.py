"""Six idle services stay small."""

from __future__ import annotations

from pathlib import Path

from support.mesh import SERVICES, Mesh

BUDGET_KB = 350 * 1024


def test_six_idle_services_fit_into_350_mb(closed_mesh: Mesh) -> None:
    sizes = {}
    for service in SERVICES:
        rollup = Path(f"/proc/{closed_mesh.processes[service].pid}/smaps_rollup").read_text()
        sizes[service] = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    assert sum(sizes.values()) <= BUDGET_KB, sizes
