"""What a release needs in its namespace before it can start: names and templates, no value."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes import chart_secrets, chart_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secrets import SecretEntry, sources
from jinja2 import Environment, StrictUndefined

from tests.unit.kubernetes.plans import SITES, fixture, site


def filled(entry: SecretEntry) -> str:
    """The entry with `value of <name>` for every secret that it names, and for no other."""
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["to_json"] = json.dumps
    environment.filters["recipient"] = lambda text: f"recipient of {text}"
    environment.filters["sha256"] = lambda text: hashlib.sha256(text.encode()).hexdigest()
    secrets = {name: f"value of {name}" for name in entry.secrets}
    return environment.from_string(entry.inline).render(vars=entry.vars, secrets=secrets)


def accounts(values: dict[str, Any]) -> list[dict[str, Any]]:
    database = values["postgresql"]
    return [database["owner"], *database["logins"], *database["monitors"]]


@pytest.mark.parametrize("name", SITES)
def test_every_key_that_a_pod_mounts_is_in_a_secret(name: str) -> None:
    plan = site(name)
    values, objects = chart_values(plan), {each.name: set(each.keys) for each in chart_secrets(plan)}
    mounted = {key for service in values["services"].values() for key in service["credentials"]}
    mounted |= {login["credential"] for login in accounts(values)}
    assert mounted == objects[values["secrets"]["credentials"]]
    watching = {key for part in values["monitoring"]["parts"] for key in part["secrets"]}
    assert watching == objects[values["secrets"]["monitoring"]]
    assert (values["secrets"]["redisUsers"] in objects) == (values["redis"]["kind"] == "bundled")


@pytest.mark.parametrize("name", SITES)
def test_every_entry_is_made_of_secrets_that_the_plan_refers_to(name: str) -> None:
    plan = site(name)
    for secret in chart_secrets(plan):
        assert set(sources(secret.entries)) <= set(plan["secrets"])
        for entry in secret.entries:
            assert filled(entry)


def test_a_credential_is_the_secret_itself() -> None:
    credentials, *_ = chart_secrets(fixture())
    entry = next(entry for entry in credentials.entries if entry.key == "db_owner_password")
    assert (filled(entry), entry.secrets) == ("value of db_owner_password", ("db_owner_password",))


def test_services_get_the_hashes_of_tokens_and_not_the_tokens() -> None:
    credentials, *_ = chart_secrets(fixture())
    rows = json.loads(filled(next(entry for entry in credentials.entries if entry.key == "tokens.json")))
    wanted = hashlib.sha256(b"value of verify_token").hexdigest()
    assert {"subject": "verify", "role": "verify", "sha256": wanted} in rows
    assert "admin_token" not in credentials.keys


def test_the_passphrase_of_backups_is_in_a_secret_of_its_own_and_in_no_value_of_the_chart() -> None:
    plan = fixture()
    (*_, backup) = chart_secrets(plan)
    assert (backup.name, backup.keys) == ("backup", ("pgbackrest.conf", "recipients"))
    texts = {entry.key: filled(entry) for entry in backup.entries}
    assert "repo1-cipher-pass=value of backup_passphrase\n" in texts["pgbackrest.conf"]
    assert texts["recipients"] == "recipient of value of backup_identity"
    assert chart_values(plan)["backups"][0]["secretKeys"] == list(backup.keys)


def test_redis_gets_the_hash_of_the_password() -> None:
    _, users, *_ = chart_secrets(fixture())
    text = filled(users.entries[0])
    assert "user default off" in text
    assert hashlib.sha256(b"value of redis_password").hexdigest() in text
    assert "value of" not in text


def test_a_key_ring_with_two_versions_gives_both() -> None:
    plan = fixture()
    plan["secrets"]["jwt_key_previous"] = plan["secrets"]["jwt_key"] | {"version": 1}
    assert "jwt_key_previous" in chart_secrets(plan)[0].keys
    assert "jwt_key_previous" in chart_values(plan)["services"]["registry"]["credentials"]


def test_cloudnativepg_gets_its_accounts_in_the_form_that_it_reads() -> None:
    accounts = [
        each for each in chart_secrets(site("medium with CloudNativePG")) if each.name.startswith("postgresql-")
    ]
    assert [each.name for each in accounts] == [
        "postgresql-mesh",
        "postgresql-mesh-app-a",
        "postgresql-mesh-app-b",
        "postgresql-mesh-monitor",
    ]
    assert {each.type for each in accounts} == {"kubernetes.io/basic-auth"}
    assert [filled(entry) for entry in accounts[1].entries] == ["mesh_app_a", "value of db_app_a_password"]
