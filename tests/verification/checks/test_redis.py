"""Redis is the planned one, set as planned, and lets in nobody without a password."""

from __future__ import annotations

from typing import Any

from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, require, require_none
from vocabulary.targets import cache_host

COMMANDS = {
    "server": ["INFO", "server"],
    "memory": ["INFO", "memory"],
    "persistence": ["INFO", "persistence"],
}


def look(mesh: Mesh, target: Target) -> dict[str, dict[str, Any]]:
    return mesh.host(target.host).redis(COMMANDS)


@check("redis.version.planned", "Redis is of the planned version", targets=cache_host, capability="redis", hint="redis")
def test_version_is_the_planned_one(mesh: Mesh, target: Target) -> None:
    seen = told(look(mesh, target), "server").get("redis_version", "0")
    minimum = str(mesh.plan["redis"]["minimum"])
    require_none([f"Redis {seen}"] if _numbers(seen) < _numbers(minimum) else [], f"Redis {minimum} or later")
    planned = _numbers(str(mesh.plan["redis"]["version"]))
    require("version", _numbers(seen)[: len(planned)], planned)


@check(
    "redis.access.password_only",
    "Redis lets in nobody without the password",
    targets=cache_host,
    capability="redis",
    hint="redis",
)
def test_anonymous_is_refused(mesh: Mesh, target: Target) -> None:
    reply = mesh.host(target.host).redis({"ping": ["PING"], "get": ["GET", "aimesh"]}, login=False)
    open_to = [
        f"anonymous {name.upper()} was answered with {each['reply']!r}"
        for name, each in reply.items()
        if "reply" in each
    ]
    require_none(open_to, "NOAUTH to an anonymous connection")


@check(
    "redis.access.own_keys_only",
    "The mesh's own login can neither administer Redis, nor run scripts, nor read keys that are not the mesh's",
    targets=cache_host,
    capability="redis",
    hint="redis",
)
def test_the_login_has_no_more_rights_than_it_needs(mesh: Mesh, target: Target) -> None:
    # Each would be harmless where it is allowed by mistake.
    commands = {
        "CONFIG GET": ["CONFIG", "GET", "port"],
        "ACL LIST": ["ACL", "LIST"],
        "KEYS": ["KEYS", "aimesh-verify-none"],
        "EVAL": ["EVAL", "return 1", "0"],
        "GET of a foreign key": ["GET", "aimesh-verify-foreign"],
        "PUBLISH": ["PUBLISH", "aimesh-verify-none", "x"],
    }
    reply = mesh.host(target.host).redis(commands)
    allowed = [name for name in commands if not str(reply.get(name, {}).get("error", "")).startswith("NOPERM")]
    require_none(allowed, "NOPERM to everything but data commands on the mesh's own keys")


@check(
    "redis.memory.planned",
    "Redis has its planned memory limit, eviction policy and persistence",
    targets=cache_host,
    capability="redis",
    hint="redis",
)
def test_memory_is_the_planned_one(mesh: Mesh, target: Target) -> None:
    replies, plan = look(mesh, target), mesh.plan["redis"]
    memory = told(replies, "memory")
    require("maxmemory", int(memory.get("maxmemory", -1)), int(plan["maxmemory_mb"]) * 1024**2)
    require("maxmemory_policy", memory.get("maxmemory_policy"), plan["policy"])
    require(
        "aof_enabled", told(replies, "persistence").get("aof_enabled"), "1" if plan["persistence"] == "aof" else "0"
    )


def told(replies: dict[str, dict[str, Any]], name: str) -> dict[str, str]:
    """The lines of an INFO section. Raises MismatchError when Redis refused to tell."""
    if "error" in replies[name]:
        raise MismatchError(expected=f"an answer to {' '.join(COMMANDS[name])}", actual=replies[name]["error"])
    return dict(line.split(":", 1) for line in str(replies[name]["reply"]).splitlines() if ":" in line)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]
