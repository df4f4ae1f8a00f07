"""The chart's own page against the plan by example: each Secret, each key, and what their files have in them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes import chart_secrets
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.manifests import default_values
from kubernetes_objects import CHART
from page_commands import command_blocks

from tests.unit.kubernetes.plans import fixture

PAGE = (CHART / "README.md").read_text(encoding="utf-8")
CREATED = re.compile(r"kubectl create secret generic (\S+).*?\$\(files (.*?)\)", re.DOTALL)


def created(page: str) -> dict[str, set[str]]:
    """Secret → keys that the page's commands give it."""
    commands = command_blocks(page)["Secrets"]
    return {name: set(keys.replace("\\", " ").split()) for name, keys in CREATED.findall(commands)}


def wanted() -> dict[str, set[str]]:
    return {each.name: {entry.key for entry in each.entries} for each in chart_secrets(fixture())}


def test_the_page_makes_every_secret_of_the_example_with_every_key() -> None:
    assert created(PAGE) == wanted()


def test_a_key_that_the_page_forgets_is_missed() -> None:
    assert created(PAGE.replace("redis-passwords.json alert_token", "alert_token")) != wanted()


@pytest.mark.parametrize("key", sorted({key for keys in wanted().values() for key in keys}))
def test_the_page_says_what_each_key_holds(key: str) -> None:
    assert re.search(rf"^\|[^|]*\|[^|]*`{re.escape(key)}`[^|]*\| \S", PAGE, re.MULTILINE)


def entry(secret: str, key: str) -> Any:
    (found,) = (
        each for one in chart_secrets(fixture()) if one.name == secret for each in one.entries if each.key == key
    )
    return found


def test_the_users_of_redis_have_the_rights_that_a_deploy_gives_them() -> None:
    values = entry("redis-users", "users.acl").vars
    assert f"user {values['user']} on #$(digest redis_password) {values['rights']}\n" in PAGE
    assert f"user {values['monitor']} on #$(digest redis_monitor_password) {values['monitor_rights']}\n" in PAGE


def test_addresses_paths_and_roles_are_those_of_the_example() -> None:
    text = entry("mesh-monitoring", "redis-passwords.json").inline
    assert [address for address in re.findall(r"redis://[^\"]+", text) if f'"{address}": ' not in PAGE] == []
    (webhook,) = re.findall(r"http://alert-receiver:\d+/webhook", entry("mesh-monitoring", "alertmanager.yml").inline)
    assert webhook in PAGE
    lines = entry("backup", "pgbackrest.conf").inline.splitlines()
    for setting in ("repo1-path=", "repo1-cipher-type=", "pg1-path="):
        assert next(line for line in lines if line.startswith(setting)) in PAGE
    for subject in entry("mesh-credentials", "tokens.json").vars["subjects"]:
        assert f"$(row {subject})" in PAGE


def test_the_values_by_example_do_not_archive() -> None:
    assert "archive_mode: 'off'" in default_values(fixture())
