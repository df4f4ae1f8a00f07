from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose import render, render_slot
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import HostState
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import IDENTITY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import RenderedFile, render_files, unit_fingerprint
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import SECRET_NAMES

from tests.unit.plan.sites import COMPOSE, ROOT, TWO_COMPOSE_HOSTS, plan_of, states, with_lines

TEMPLATES = ROOT / "roles/platform_compose/templates"
FOLDER = "/etc/aimesh/compose"


def secret_value(name: str) -> str:
    return f"canary-{name}-0123456789abcdef0123456789abcdef"


def rendered(plan: Plan, host: str) -> dict[str, RenderedFile]:
    """Path → file, with a recognisable value for each secret."""
    state = render(plan, host)
    values = {name: secret_value(name) for name in plan["secrets"]}
    values[IDENTITY] = json.dumps({"identity": values[IDENTITY], "recipient": "age1public"})
    files = render_files([*state.package_files, *state.files], plan, host, TEMPLATES, values)
    return {file.path: file for file in files}


def project(plan: Plan, host: str) -> dict[str, Any]:
    """The Compose project of a host as one document, as Compose merges its files."""
    merged: dict[str, Any] = {"services": {}, "networks": {}}
    for path, file in rendered(plan, host).items():
        if path.startswith(FOLDER) and path.endswith(".yaml"):
            document = yaml.safe_load(file.content or "")
            for section in merged:
                merged[section] |= document.get(section) or {}
    return merged


def slot_project(plan: Plan, slot: dict[str, Any]) -> dict[str, Any]:
    """The one service of a slot as a rollout writes it."""
    wanted = render_slot(plan, slot)
    (file,) = render_files(wanted.files, plan, slot["host"], TEMPLATES, {})
    (service,) = yaml.safe_load(file.content or "")["services"].values()
    found: dict[str, Any] = service
    return found


def fingerprints(plan: Plan, host: str = "vm1") -> dict[str, str]:
    identities = {path: file.identity for path, file in rendered(plan, host).items()}
    return {each.name: unit_fingerprint(each, identities) for each in render(plan, host).units}


def site(folder: Path, lines: str = "", base: str = COMPOSE) -> Plan:
    return plan_of(folder, with_lines(base, lines), secrets=states({name: f"fp-{name}" for name in SECRET_NAMES}))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return site(tmp_path)


@pytest.fixture
def two_hosts(tmp_path: Path) -> Plan:
    return site(tmp_path, base=TWO_COMPOSE_HOSTS)


@pytest.fixture
def state(plan: Plan) -> HostState:
    return render(plan, "vm1")


@pytest.fixture
def files(plan: Plan) -> dict[str, RenderedFile]:
    return rendered(plan, "vm1")


@pytest.fixture
def services(plan: Plan) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = project(plan, "vm1")["services"]
    return found
