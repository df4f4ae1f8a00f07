"""`mesh admin token`: a JSON Web Token of this mesh."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mesh.admin.arguments import add_caller, add_verb, duration
from mesh.admin.output import answer, moment
from mesh.core.secrets import ConfigError, read_secret


def add(nouns: Any) -> None:
    parser = add_verb(nouns, "token", _sign, "sign a JSON Web Token and print it")
    add_caller(parser)
    parser.add_argument("--ttl", type=duration("1s", "24h"), default=3600, metavar="DURATION", help="valid for (1h)")


def _sign(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    from mesh.access.mesh_jwt import VARIABLE, KeyRing, MeshTokens

    files = [file for file in env.get(VARIABLE, "").split(":") if file]
    if not files:
        raise ConfigError(f"{VARIABLE} is not set; it names the files with the keys that tokens are signed by.")
    read_secret(VARIABLE, files[0])
    mesh = MeshTokens(env.get("MESH_NAME") or "mesh", KeyRing(files[:1]))
    expires = moment(datetime.now(UTC) + timedelta(seconds=options.ttl))
    text = mesh.sign(options.subject, options.role, options.ttl)
    print(f"Valid until {expires}.", file=sys.stderr)
    about = {"subject": options.subject, "role": options.role, "expires_at": expires}
    return answer(options, {**about, "token": text}, text)
