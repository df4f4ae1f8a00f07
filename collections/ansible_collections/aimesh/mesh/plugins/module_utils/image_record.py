"""`<state>/images.json`: the container images that we brought to the host, release by release."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json

NAME = "images.json"
SCHEMA = 1


@dataclass(frozen=True)
class OurImage:
    """One image: `reference` as Compose files name it, `id` of its content, and the release that needs it."""

    release: str
    reference: str
    id: str


def path_of(state_dir: str) -> str:
    return str(Path(state_dir) / NAME)


def read_images(state_dir: str) -> list[OurImage]:
    """What is recorded, oldest first. Raises StateFileError."""
    raw = read_json(path_of(state_dir))
    if raw is None:
        return []
    try:
        if raw["schema"] != SCHEMA:
            raise StateFileError(
                f"The record {path_of(state_dir)} has schema {raw['schema']}, this version reads {SCHEMA}; "
                "use the release of aimesh that wrote it."
            )
        return [OurImage(**row) for row in raw["images"]]
    except (KeyError, TypeError):
        raise StateFileError(
            f"The record {path_of(state_dir)} is not one of images; remove it and deploy again."
        ) from None


def write_images(state_dir: str, images: Iterable[OurImage]) -> None:
    rows = [asdict(image) for image in dict.fromkeys(images)]
    write_json(path_of(state_dir), {"schema": SCHEMA, "images": rows})


def superfluous(images: Sequence[OurImage], keep: Iterable[str]) -> list[OurImage]:
    """Images that no release in `keep` needs: neither by the reference nor by the id."""
    kept = set(keep)
    needed = {name for image in images if image.release in kept for name in (image.reference, image.id)}
    return [image for image in images if image.release not in kept and not {image.reference, image.id} & needed]


def releases_kept(wanted: str, applied: str | None, history: Sequence[str]) -> list[str]:
    """The wanted release, the applied one, and the one used before that: what a rollback goes back to."""
    before = next((name for name in reversed(history) if name != applied), None)
    return list(dict.fromkeys(name for name in (wanted, applied, before) if name))
