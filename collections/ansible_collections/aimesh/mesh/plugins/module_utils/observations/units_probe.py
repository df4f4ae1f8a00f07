"""What systemd says of units, all of them in one call."""

from __future__ import annotations

from .base import Environment, ProbeError, Question
from .command import run

PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts", "MainPID", "Result",
    "ExecMainStartTimestamp", "ExecMainStartTimestampMonotonic", "NeedDaemonReload", "FragmentPath",
)  # fmt: skip


def answer_units(question: Question, environment: Environment) -> dict[str, dict[str, str]]:
    """`units` (names with suffix) → {name: {property: value}}; a unit that does not exist has LoadState `not-found`."""
    names = [str(name) for name in question["units"]]
    argv = ["systemctl", "show", "--no-pager", f"--property={','.join(PROPERTIES)}", "--", *names]
    ended = run(argv, timeout=environment.timeout)
    if ended["rc"] != 0:
        raise ProbeError(f"systemctl show ended with {ended['rc']}: {ended['stderr'].strip()}")
    blocks = [block for block in ended["stdout"].strip().split("\n\n") if block]
    if len(blocks) != len(names):
        raise ProbeError(f"systemctl told of {len(blocks)} units, asked for {len(names)}")
    return {
        name: dict(line.partition("=")[::2] for line in block.splitlines())
        for name, block in zip(names, blocks, strict=True)
    }
