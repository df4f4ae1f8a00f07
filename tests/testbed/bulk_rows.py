"""Fills the database of a deployed mesh until it is as large as a test needs, fast and not compressible to nothing."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from .database import psql
from .vm import Vm

NAMESPACE = "bulk"
IMAGE = "$IMAGE"
"""Stands for the image of the database's container, which its host knows."""
BLOCKS = 20
"""Random blocks in a row; with them it stays below the size at which PostgreSQL would compress it or store it apart."""
ROW_BYTES = BLOCKS * 90 + 330
BATCH_ROWS = 100_000

# Decisions are kept as they are: nothing rolls them up, prunes them or looks for changes among them.
_INSERT = """\
INSERT INTO decisions
    (id, namespace, decision, policy_version, reasons, prompt_sha256, prompt_chars, caller, request_id)
SELECT gen_random_uuid(), '{namespace}', 'allow', '1', to_jsonb((
    SELECT string_agg(encode(sha512((random()::text || n || g)::bytea), 'base64'), '')
    FROM generate_series(1, {blocks}) g
)), md5(n::text) || md5((-n)::text), n % 4000, 'bulk', n::text FROM generate_series({first}, {last}) n"""


def fill(vm: Vm, plan: dict[str, Any], megabytes: int) -> int:
    """Add rows until the database takes that many megabytes; returns the bytes it takes then (about 20 MB/s)."""
    first = 0
    while (missing := megabytes * 1_000_000 - size(vm, plan)) > 0:
        count = min(BATCH_ROWS, missing // ROW_BYTES + 1)
        statement = _INSERT.format(namespace=NAMESPACE, blocks=BLOCKS, first=first, last=first + count - 1)
        vm.run(psql(plan, statement), timeout=300)
        first += count
    vm.run(psql(plan, "CHECKPOINT"), timeout=300)
    return size(vm, plan)


def size(vm: Vm, plan: dict[str, Any]) -> int:
    return int(vm.run(psql(plan, "SELECT pg_database_size('mesh_registry')")).strip())


def raw_copy_s(vm: Vm, plan: dict[str, Any]) -> tuple[float, float, int]:
    """Seconds of a plain copy of the data directory and of a start on that copy, and the bytes copied.

    The budget's yardstick: nothing that restores a cluster can be quicker than a copy beside it. The cluster runs
    meanwhile; what is copied recovers as after a crash.
    """
    told = vm.run(f"python3 -I - {shlex.quote(json.dumps(_yardstick(plan)))} <<'END'\n{_COPY}\nEND", timeout=900)
    found = re.search(r"^COPY (\S+) START (\S+) BYTES (\d+)$", told, re.MULTILINE)
    assert found is not None, told
    return float(found.group(1)), float(found.group(2)), int(found.group(3))


def _yardstick(plan: dict[str, Any]) -> dict[str, Any]:
    cluster = plan["postgresql"]
    folder = f"{cluster['data_dir']}-copied"
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": folder,
        "archive_mode": "off",
        "ssl": "off",
        # The cluster's own may lie elsewhere and name what the copy has not.
        "config_file": "/dev/null",
        "hba_file": f"{folder}/hba",
    }
    words = ["-D", folder, *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))]
    program = f"/usr/lib/postgresql/{cluster['version']}/bin/postgres"
    if plan["mesh"]["platform"] == "compose":
        names = ["--name=aimesh-copied", "--rm", "--network=none", f"--volume={folder}:{folder}"]
        server = ["docker", "run", *names, f"--entrypoint={program}", IMAGE, *words]
    else:
        server = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", program, *words]
    return {"source": cluster["data_dir"], "folder": folder, "server": server}


_COPY = """
import json, os, shutil, signal, subprocess, sys, time
asked = json.loads(sys.argv[1])
folder = asked['folder']
server = asked['server']
if '$IMAGE' in server:
    image = subprocess.run(['docker', 'inspect', '--format', '{{.Image}}', 'aimesh-postgresql'], capture_output=True,
        text=True, check=True).stdout.strip()
    server[server.index('$IMAGE')] = image
shutil.rmtree(folder, ignore_errors=True)
try:
    begun = time.monotonic()
    subprocess.run(['cp', '-a', asked['source'], folder], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(['sync', '-f', folder], check=True)
    copied = time.monotonic()
    for name in ('postmaster.pid', 'hba'):
        if os.path.exists(folder + '/' + name):
            os.unlink(folder + '/' + name)
    with open(folder + '/hba', 'w') as file:
        file.write('local all all trust\\n')
    done = subprocess.run(['du', '-sb', folder], capture_output=True, text=True, check=True).stdout.split()[0]
    started = time.monotonic()
    process = subprocess.Popen(server, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if 'ready to accept connections' in line:
            break
        if 'FATAL' in line:
            sys.exit(line)
    ready = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(30)
    print('COPY', round(copied - begun, 2), 'START', round(ready - started, 2), 'BYTES', done)
finally:
    shutil.rmtree(folder, ignore_errors=True)
"""
