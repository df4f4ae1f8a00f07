from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, Unit, User
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import (
    RenderError,
    plain,
    render_files,
    secrets_of,
    unit_fingerprint,
)

Plan = dict[str, Any]
FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "plan_small.json"
PASSWORD = File("/etc/x/password", inline="{{ secrets.redis_password }}", secrets=("redis_password",))


@pytest.fixture
def plan() -> Plan:
    loaded: Plan = json.loads(FIXTURE.read_text())
    return loaded


def identity(plan: Plan, file: File, value: str = "value-one") -> str:
    return render_files([file], plan, "vm1", None, dict.fromkeys(file.secrets, value))[0].identity


def test_the_identity_of_a_file_follows_its_content(plan: Plan) -> None:
    file = File("/etc/x/env", inline="PORT={{ plan.redis.port }}\n")
    before = identity(plan, file)
    assert identity(plan, file) == before
    plan["redis"]["port"] = 6380
    assert identity(plan, file) != before


def test_the_identity_of_a_secret_file_follows_the_fingerprint_and_never_the_value(plan: Plan) -> None:
    before = identity(plan, PASSWORD)
    assert identity(plan, PASSWORD, "another-value") == before
    reference = plan["secrets"]["redis_password"]
    for change in ({"fingerprint": "ffffffffffffffff"}, {"version": 2}, {"store": "other"}):
        plan["secrets"]["redis_password"] = reference | change
        assert identity(plan, PASSWORD) != before, change


def test_a_secret_file_also_follows_the_rest_of_the_plan(plan: Plan) -> None:
    file = File("/x", inline="{{ plan.redis.user }} {{ secrets.redis_password }}", secrets=("redis_password",))
    before = identity(plan, file)
    plan["redis"]["user"] = "other"
    assert identity(plan, file) != before


def test_identities_need_no_value_of_any_secret(plan: Plan) -> None:
    rendered = render_files([PASSWORD], plan, "vm1", None, None)[0]
    assert rendered.content is None
    assert rendered.identity == identity(plan, PASSWORD)


def test_a_template_sees_only_the_secrets_it_names(plan: Plan) -> None:
    file = File("/x", inline="{{ secrets.db_owner_password }}", secrets=("redis_password",))
    with pytest.raises(RenderError, match="cannot be rendered for vm1"):
        render_files([file], plan, "vm1", None, {"redis_password": "x", "db_owner_password": "y"})


def test_the_content_of_a_secret_file_goes_into_the_suboption_that_is_not_logged(plan: Plan) -> None:
    args = render_files([PASSWORD], plan, "vm1", None, {"redis_password": "value"})[0].as_module_args()
    assert (args["secret_content"], args["sensitive"], "content" in args) == ("dmFsdWU=", True, False)


def test_templates_are_rendered_as_written(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text(
        "{% for name in vars.names %}\n- {{ name }}\n{% endfor %}\n{{ vars.names | to_json }}\n"
    )
    file = File("/x", template="t.j2", vars={"names": ["<a>", "b&c"]})
    rendered = render_files([file], plan, "vm1", tmp_path, {})[0]
    assert rendered.content == '- <a>\n- b&c\n["<a>", "b&c"]\n'


def test_secrets_are_asked_for_once() -> None:
    assert secrets_of([PASSWORD, PASSWORD, File("/y", text="")]) == ["redis_password"]


@pytest.mark.parametrize(
    ("unit", "identities"),
    [
        (Unit("aimesh-x@a", files=("/a", "/b"), release="1.0.1+0123abcd"), {"/a": "1", "/b": "2"}),
        (Unit("aimesh-x@a", files=("/a",), release="1.0.0+0123abcd"), {"/a": "1", "/b": "2"}),
        (Unit("aimesh-x@a", files=("/a", "/b"), release="1.0.0+0123abcd"), {"/a": "1", "/b": "3"}),
        (Unit("aimesh-x@a", files=("/a", "/b")), {"/a": "1", "/b": "2"}),
    ],
)
def test_a_fingerprint_changes_with_release_files_and_content(unit: Unit, identities: dict[str, str]) -> None:
    reference = Unit("aimesh-x@a", files=("/a", "/b"), release="1.0.0+0123abcd")
    assert unit_fingerprint(unit, identities) != unit_fingerprint(reference, {"/a": "1", "/b": "2"})


def test_a_fingerprint_ignores_files_that_the_unit_does_not_load() -> None:
    unit = Unit("aimesh-x@a", files=("/a",))
    assert unit_fingerprint(unit, {"/a": "1", "/b": "2"}) == unit_fingerprint(unit, {"/a": "1", "/b": "3"})


def test_a_unit_that_loads_an_unknown_file_is_refused() -> None:
    with pytest.raises(RenderError, match="aimesh-x@a loads /nowhere, which the driver does not render"):
        unit_fingerprint(Unit("aimesh-x@a", files=("/nowhere",)), {})


def test_accounts_and_directories_become_plain_dictionaries() -> None:
    user, directory = plain([User("mesh", "mesh", groups=("ssl-cert",)), Directory("/x", keep=True)])
    assert user["groups"] == ["ssl-cert"]
    assert directory == {"path": "/x", "owner": "root", "group": "root", "mode": "0755", "keep": True}


@pytest.mark.parametrize("text", ["AGE-SECRET-KEY-1QQQ", '{"identity": "AGE-SECRET-KEY-1QQQ"}'])
def test_the_private_half_of_a_pair_is_never_written_for_its_public_one(text: str, plan: Plan) -> None:
    wanted = File(
        "/etc/aimesh/backup/recipients",
        inline="{{ secrets.backup_identity | recipient }}",
        secrets=("backup_identity",),
    )
    with pytest.raises(RenderError, match="private key alone") as refused:
        render_files([wanted], plan, "vm1", None, {"backup_identity": text})
    assert "1QQQ" not in str(refused.value)
