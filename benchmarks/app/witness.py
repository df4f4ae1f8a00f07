"""A second opinion on saturation by wrk, where it is installed: the same request, another generator."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from benchmarks.app.load import MARK, LoadSpec

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


def witness(spec: LoadSpec, directory: Path) -> dict[str, float] | None:
    """Requests per second, p50 and p99 in milliseconds, and the number of failures; None without wrk."""
    program = shutil.which("wrk")
    if program is None:
        return None
    script = directory / "witness.lua"
    script.write_text(_script(spec))
    command = [program, "--threads", "1", "--connections", str(spec.connections), "--latency"]
    command += ["--duration", f"{spec.duration:.0f}s", "--timeout", f"{spec.timeout:.0f}s", "--script", str(script)]
    done = subprocess.run([*command, spec.url], check=True, capture_output=True, text=True)
    return parse(done.stdout)


def _script(spec: LoadSpec) -> str:
    """One thread, so that the counter in the body is unique; the prefix keeps it apart from our own names."""
    body = json.dumps(spec.body.replace(MARK, "wrk-" + MARK))
    headers = "".join(
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n" for name, value in spec.headers.items()
    )
    return f"""wrk.method = {json.dumps(spec.method)}
wrk.headers["Content-Type"] = "application/json"
{headers}local body, sent = {body}, 0
function request()
  sent = sent + 1
  return wrk.format(nil, nil, nil, (body:gsub("{MARK.replace("%", "%%")}", tostring(sent))))
end
"""


def parse(text: str) -> dict[str, float]:
    """What wrk prints, in our units."""

    def number(pattern: str, default: str = "0") -> str:
        found = re.search(pattern, text)
        return found[1] if found else default

    def milliseconds(share: str) -> float:
        found = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s|m)$", text, re.MULTILINE)
        return round(float(found[1]) * _UNITS[found[2]], 2) if found else 0.0

    return {
        "per_second": float(number(r"Requests/sec:\s+([\d.]+)")),
        "p50_ms": milliseconds("50"),
        "p99_ms": milliseconds("99"),
        "failed": float(number(r"Non-2xx or 3xx responses: (\d+)")) + float(number(r"timeout (\d+)")),
    }
