"""The part of a release folder that one host needs: wheels for its Python and architecture, pip, release.json."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1


class ReleaseError(ValueError):
    """The release folder on the controller cannot be used; the message is one sentence for the operator."""


@dataclass(frozen=True)
class Bundle:
    """`wheels` and `pip` are files of `folder` with their SHA-256, as release.json says."""

    id: str
    key: str
    folder: Path
    wheels: tuple[tuple[str, str], ...]
    pip: tuple[str, str]

    @property
    def digest(self) -> str:
        """`sha256:<hex>` that names what an installation contains: id, Python tag and architecture, wheel names.

        Two builds of one content differ in the bytes of the app's own wheel and in nothing that runs, so the names
        (which carry versions) count and not the bytes; those are checked one by one on the way.
        """
        names = [self.id, self.key, self.pip[0], *(name for name, _ in self.wheels)]
        return f"sha256:{hashlib.sha256(json.dumps(names).encode()).hexdigest()}"

    def files(self) -> list[tuple[Path, str, str]]:
        """(path on the controller, name in the archive, SHA-256) of each file that the host needs."""
        wheels = [(self.folder / "wheels" / self.key / name, f"wheels/{name}", digest) for name, digest in self.wheels]
        return [*wheels, (self.folder / self.pip[0], self.pip[0], self.pip[1])]


def read_bundle(folder: Path, release_id: str, python: str, arch: str) -> Bundle:
    """The bundle for a Python tag (`cp313`) and an architecture (`x86_64`). Raises ReleaseError."""
    path = folder / "release.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReleaseError(f"There is no release {release_id} at {folder}; build it with: make release") from None
    except (OSError, ValueError) as error:
        raise ReleaseError(f"The file {path} cannot be read ({error}); build the release anew.") from None
    key = f"{python}-{arch}"
    try:
        if document["schema"] != SCHEMA:
            raise ReleaseError(f"The file {path} has schema {document['schema']}, this version reads {SCHEMA}.")
        if document["id"] != release_id:
            raise ReleaseError(f"The file {path} is of release {document['id']}, not of {release_id}; build it anew.")
        if key not in document["wheels"]:
            raise ReleaseError(
                f"The release {release_id} has no wheels for {key}, it has {', '.join(sorted(document['wheels']))}; "
                f"build it with: python tools/release.py --tag {key}"
            )
        wheels = tuple(sorted((str(row["file"]), str(row["sha256"])) for row in document["wheels"][key]))
        pip = (str(document["pip"]["file"]), str(document["pip"]["sha256"]))
    except (KeyError, TypeError) as error:
        raise ReleaseError(f"The file {path} lacks {error}; build the release anew.") from None
    return Bundle(release_id, key, folder, wheels, pip)


def write_archive(bundle: Bundle, target: Path) -> None:
    """An uncompressed tar of the bundle. Raises ReleaseError for a file that is not what release.json names."""
    with tarfile.open(target, mode="w") as tar:
        for path, name, digest in bundle.files():
            try:
                content = path.read_bytes()
            except OSError as error:
                raise ReleaseError(f"The release file {path} cannot be read: {error.strerror}.") from None
            if hashlib.sha256(content).hexdigest() != digest:
                raise ReleaseError(
                    f"The release file {path} is not the one that release.json names (SHA-256 differs); "
                    "remove the release folder and build it anew."
                )
            tar.add(path, name)
        tar.add(bundle.folder / "release.json", "release.json")
