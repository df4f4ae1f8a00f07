"""What a module documents is what it takes: neither an option too many nor another type or default."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.doc_fragments import cluster, mesh_in_cluster, release
from ansible_collections.aimesh.mesh.plugins.doc_fragments import slice as slice_fragment
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import SliceAction
from module_runner import COLLECTIONS

PLUGINS = COLLECTIONS / "ansible_collections/aimesh/mesh/plugins"
PACKAGE = "ansible_collections.aimesh.mesh.plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
SHARED: dict[str, Any] = {
    f"aimesh.mesh.{name}": yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    for name, fragment in (
        ("slice", slice_fragment),
        ("cluster", cluster),
        ("mesh_in_cluster", mesh_in_cluster),
        ("release", release),
    )
}
FIELDS = (("type", "str"), ("default", None), ("choices", None), ("elements", None))


class SpecificationSeenError(Exception):
    pass


def documented(name: str) -> dict[str, Any]:
    text = yaml.safe_load(importlib.import_module(f"{PACKAGE}.modules.{name}").DOCUMENTATION)
    named = text.get("extends_documentation_fragment", ())
    shared = {key: value for name, options in SHARED.items() if name in named for key, value in options.items()}
    return {**shared, **(text.get("options") or {})}


def taken(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The argument specification; empty for a plugin that has a controller half only."""
    module = importlib.import_module(f"{PACKAGE}.modules.{name}")
    if not hasattr(module, "AnsibleModule"):
        return {}
    seen: dict[str, Any] = {}

    def stop(**options: Any) -> None:
        seen.update(options["argument_spec"])
        raise SpecificationSeenError

    monkeypatch.setattr(module, "AnsibleModule", stop)
    with pytest.raises(SpecificationSeenError):
        module.main()
    return seen


def differences(documentation: dict[str, Any], specification: dict[str, Any], path: str = "") -> list[str]:
    found = [f"{path}{name} is not documented" for name in specification if name not in documentation]
    for name in documentation.keys() & specification.keys():
        said, does = documentation[name], specification[name]
        found += [
            f"{path}{name}: {field} is documented as {said.get(field, usual)}, the module has {does.get(field, usual)}"
            for field, usual in FIELDS
            if said.get(field, usual) != does.get(field, usual)
        ]
        inner = said.get("suboptions") or {}, does.get("options") or {}
        found += differences(*inner, path=f"{path}{name}.")
        found += [f"{path}{name}.{each} is not taken" for each in inner[0] if each not in inner[1] and inner[1]]
    return found


@pytest.mark.parametrize("name", MODULES)
def test_every_option_is_documented_as_it_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert differences(documented(name), taken(name, monkeypatch)) == []


@pytest.mark.parametrize("name", MODULES)
def test_an_option_that_no_module_takes_belongs_to_its_controller_half(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = importlib.import_module(f"{PACKAGE}.action.{name}").ActionModule
    if not issubclass(action, SliceAction):
        return
    there = set(documented(name)) - set(taken(name, monkeypatch))
    assert there <= action.options | SliceAction.COMMON_OPTIONS
    assert action.options <= set(documented(name)), "an option of the task is not documented"


def test_a_wrong_default_and_a_hidden_option_are_differences() -> None:
    documentation = {"a": {"type": "list", "suboptions": {"b": {"default": 1}}}, "c": {}}
    specification = {"a": {"type": "list", "options": {"b": {"default": 2}}}, "d": {}}
    assert sorted(differences(documentation, specification)) == [
        "a.b: default is documented as 1, the module has 2",
        "d is not documented",
    ]


def test_every_module_has_a_controller_half() -> None:
    assert sorted(path.stem for path in Path(PLUGINS / "action").glob("*.py")) == MODULES
