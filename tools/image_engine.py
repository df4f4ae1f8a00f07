"""The Docker Engine of the machine on which images are built, through its own client."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

BUILD_TIMEOUT_S = 1800.0
DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")


class ImageError(Exception):
    """One sentence for whoever builds."""


class Engine:
    """Methods raise ImageError with the last line that the client printed."""

    def has(self, name: str) -> bool:
        """Whether there is an image of this id or tag."""
        return self._found(name)

    def have(self, name: str) -> None:
        """Have the image; one that is named by digest is pulled when it is not there."""
        if self._found(name):
            return
        if "@sha256:" not in name:
            raise ImageError(
                f"There is no image {name} here, and only one that is named by digest is pulled (NAME@sha256:…); "
                "`docker image ls` shows what there is."
            )
        _docker("pull", "--quiet", name, timeout_s=600)

    def image_id(self, name: str) -> str:
        return _docker("image", "inspect", "--format", "{{.Id}}", name).strip()

    def os_release(self, name: str) -> dict[str, str]:
        """What /etc/os-release in the image says."""
        text = self._run(name, "cat", "/etc/os-release")
        return {key: value.strip('"') for key, _, value in (line.partition("=") for line in text.splitlines())}

    def packages(self, name: str) -> dict[str, str]:
        """Debian packages in the image with their versions."""
        lines = self._run(name, "dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n").splitlines()
        return dict(sorted((line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines))

    def build(self, context: Path, tag: str, arguments: dict[str, str]) -> None:
        options = [part for name, value in sorted(arguments.items()) for part in ("--build-arg", f"{name}={value}")]
        _docker(
            "build", "--file", str(context / "Containerfile"), "--tag", tag, *options, str(context),
            timeout_s=BUILD_TIMEOUT_S,
        )  # fmt: skip

    def tag(self, name: str, tag: str) -> None:
        _docker("image", "tag", name, tag)

    def untag(self, tag: str) -> None:
        """Take a tag away; the image goes with it unless it has another one."""
        _docker("image", "rm", tag)

    def save(self, ids: list[str], target: Path) -> None:
        _docker("image", "save", "--output", str(target), *ids, timeout_s=600)

    def push(self, tag: str, registry: str) -> str:
        """Push to a registry; the digest under which it is there."""
        name = f"{registry.rstrip('/')}/{tag}"
        self.tag(tag, name)
        found = DIGEST.search(_docker("image", "push", name, timeout_s=1800))
        if found is None:
            raise ImageError(f"The registry has taken {name} and said no digest; look at it with its own tools.")
        return found.group(1)

    def _found(self, name: str) -> bool:
        return bool(_docker("image", "inspect", "--format", "{{.Id}}", name, check=False).strip())

    def _run(self, name: str, *command: str) -> str:
        return _docker("run", "--rm", "--network=none", f"--entrypoint={command[0]}", name, *command[1:])


def _docker(*arguments: str, timeout_s: float = 120, check: bool = True) -> str:
    try:
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
    except FileNotFoundError:
        raise ImageError("There is no docker on this machine; install docker.io and start its engine.") from None
    except subprocess.TimeoutExpired:
        raise ImageError(f"`docker {arguments[0]}` was not done after {timeout_s:.0f} s.") from None
    if done.returncode == 0:
        return done.stdout
    if not check and "No such image" in done.stderr:
        return ""
    lines = [line for line in (done.stderr.strip() or done.stdout.strip()).splitlines() if line] or [
        "it printed nothing"
    ]
    apt = [line for line in done.stdout.splitlines() + lines if line.startswith("E: ")]
    raise ImageError(f"`docker {' '.join(arguments[:2])}` failed: {(apt or lines)[-1].strip()}")
