"""Names of images as a node's containerd has them, which never leaves the registry out."""

from __future__ import annotations

from ..command import TestbedError


def reference(name: str) -> str:
    """The full name of what Docker calls `name`. Raises TestbedError when that has no tag."""
    if ":" not in name.rpartition("/")[2] or "@" in name:
        raise TestbedError(f"{name} does not say which image: name it as `docker image ls` does, with its tag.")
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def repository(name: str) -> str:
    """The full name without its tag."""
    return reference(name).rpartition(":")[0]
