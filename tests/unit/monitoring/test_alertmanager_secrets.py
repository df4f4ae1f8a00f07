"""What a secret holds arrives as it is, whatever it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.secret_text import Secret, go_literal, secret_text
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import render_files

from tests.unit.monitoring.alerting_plans import plan_with

ODD = [
    "plain",
    'it\'s "quoted"',
    r"back\slash \n \u0041",
    "{{ secrets.receiver_pager }}",
    "{% raw %}{# no comment #}",
    "two\nlines\r\nand a tab\t",
    "$HOME ${HOME} $$",
    "{{`{{`}}",
    "größe 🔑",
    "# no comment",
    " &anchor *alias !tag |",
]


def rendered(document: dict[str, Any], value: str) -> str:
    inline, secrets = secret_text(document)
    file = File("file", inline=inline, secrets=secrets)
    content = render_files([file], plan_with(), "vm1", None, dict.fromkeys(secrets, value))[0].content
    assert content is not None
    return content


@pytest.mark.parametrize("value", ODD)
def test_a_secret_arrives_unharmed(value: str) -> None:
    content = rendered({"a": {"b": [Secret("receiver_pager")]}, "c": "x"}, value)
    for read in (json.loads, yaml.safe_load):
        assert read(content) == {"a": {"b": [value]}, "c": "x"}


@pytest.mark.parametrize("text", [*ODD, "{{{{{", "{%{#{{", "}}%}#}", '{{ template "aimesh.title" . }}', "\\{{", "{"])
def test_a_text_of_the_plan_is_no_template(text: str) -> None:
    content = rendered({text: text, "list": [text], "secret": Secret("receiver_pager")}, "x")
    for read in (json.loads, yaml.safe_load):
        assert read(content) == {text: text, "list": [text], "secret": "x"}


def test_a_secret_for_a_go_template_keeps_its_braces_from_go() -> None:
    content = rendered({"a": Secret("receiver_pager", go_template=True)}, "a{{ .b }}c")
    assert json.loads(content) == {"a": "a{{`{{`}} .b }}c"}
    assert go_literal("a{{ .b }}c") == "a{{`{{`}} .b }}c"


def test_each_secret_is_named_once() -> None:
    _, secrets = secret_text({"a": Secret("one"), "b": [Secret("two"), Secret("one")]})
    assert secrets == ("one", "two")


def test_nothing_else_than_json_and_secrets_goes_into_a_document() -> None:
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        secret_text({"a": object()})
