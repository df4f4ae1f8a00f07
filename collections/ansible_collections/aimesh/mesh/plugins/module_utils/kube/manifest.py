"""Manifests as objects: what they are, in which order, and where two sets of them differ. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str, str]
"""API version without its number of the version (`apps`), kind, name."""

WATCHED = ("Deployment", "StatefulSet", "Job")
HELM_ANNOTATIONS = ("meta.helm.sh/release-name", "meta.helm.sh/release-namespace")
SERVER_SIDE = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink")


def objects_of(manifest: str) -> list[Object]:
    """The objects of a manifest in YAML, in its order."""
    import yaml

    return [each for each in yaml.safe_load_all(manifest) if isinstance(each, dict) and each.get("kind")]


def key_of(each: Mapping[str, Any]) -> Key:
    group = str(each["apiVersion"]).rpartition("/")[0]
    return group, str(each["kind"]), str(each["metadata"]["name"])


def named(key: Key) -> str:
    """An object in words: `Deployment registry`."""
    return f"{key[1]} {key[2]}"


def changes(before: Iterable[Object], after: Iterable[Object]) -> list[str]:
    """What differs between two sets of objects, a line each: `+ Job migrate-2`, `~ Deployment registry`, `- …`."""
    old, new = ({key_of(each): each for each in side} for side in (before, after))
    rows = [("+", key) for key in new if key not in old]
    rows += [("~", key) for key in new if key in old and old[key] != new[key]]
    rows += [("-", key) for key in old if key not in new]
    return [f"{sign} {named(key)}" for sign, key in rows]


def diff_text(objects: Iterable[Object], only: Iterable[Key] | None = None) -> str:
    """Objects as YAML for a diff, sorted by kind and name. A Secret shows its keys and never a value."""
    import yaml

    wanted = None if only is None else set(only)
    chosen = [each for each in objects if wanted is None or key_of(each) in wanted]
    shown = [without_values(each) for each in sorted(chosen, key=key_of)]
    return "---\n".join(yaml.safe_dump(each, sort_keys=True) for each in shown)


def without_values(each: Object) -> Object:
    """The object itself, or a Secret whose values are replaced by a note."""
    if each.get("kind") != "Secret":
        return each
    hidden = {
        part: dict.fromkeys(each.get(part) or {}, "(hidden)") for part in ("data", "stringData") if each.get(part)
    }
    return each | hidden


def settled(live: Mapping[str, Any]) -> Object:
    """A live object without what only the API server and the controllers write."""
    metadata = {key: value for key, value in live["metadata"].items() if key not in SERVER_SIDE}
    annotations = {
        key: value for key, value in (metadata.get("annotations") or {}).items() if not key.startswith("deployment.")
    }
    metadata = {key: value for key, value in metadata.items() if key != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    return {key: value for key, value in live.items() if key not in ("status", "metadata")} | {"metadata": metadata}
