"""Processes for module calls, forked from one that has Ansible's own code loaded: a call costs a tenth of a new Python.

Nothing of ours is loaded before the fork, so each call runs the module as it is on disk, in a process of its own.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# A line in is a call; the child leaves the loop and becomes the module, the parent answers with its exit code.
SERVER = """
import io, json, os, signal, sys
import ansible.module_utils.basic, ansible.module_utils.testing
for line in sys.stdin:
    call = json.loads(line)
    pid = os.fork()
    if pid == 0:
        for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, call["stdout"], os.O_WRONLY),
                                    (2, call["stderr"], os.O_WRONLY)):
            os.dup2(os.open(name, flags), number)
        signal.alarm(call["timeout_s"])
        os.environ.clear()
        os.environ.update(call["environment"])
        os.chdir(call["cwd"])
        sys.stdin = io.StringIO(call["stdin"])
        break
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
else:
    sys.exit(0)
exec(call["program"])
"""


def run_program(program: str, stdin: str, environment: dict[str, str], timeout_s: int) -> tuple[str, str, int]:
    """Run Python source text in a forked process: what it wrote to both streams, and its exit code.

    A process that does not end in time is killed; its exit code is then negative.
    """
    with tempfile.TemporaryDirectory(prefix="module-") as scratch:
        stdout, stderr = Path(scratch, "stdout"), Path(scratch, "stderr")
        for stream in (stdout, stderr):
            stream.touch()
        call = {"program": program, "stdin": stdin, "environment": environment, "timeout_s": timeout_s}
        call |= {"stdout": str(stdout), "stderr": str(stderr), "cwd": str(Path.cwd())}
        server = _server()
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(call) + "\n")
        server.stdin.flush()
        exit_code = int(server.stdout.readline())
        return stdout.read_text(), stderr.read_text(), exit_code


@cache
def _server() -> subprocess.Popen[str]:
    collections = Path(__file__).resolve().parents[2] / "collections"
    server = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(collections)!r})\n{SERVER}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    server.communicate()
