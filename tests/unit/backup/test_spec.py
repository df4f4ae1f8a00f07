"""A specification is whole and right, or the program does not begin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import dump_spec, load_spec, parse_spec

from .host import Host, document


def test_a_specification_is_what_it_is_written_as(host: Host) -> None:
    assert json.loads(json.dumps(dump_spec(host.spec))) == document(host.root)
    assert parse_spec(dump_spec(host.spec)) == host.spec
    assert (host.spec.local_repositories, host.spec.remote_repositories) == ((1,), (2,))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema": 2}, "it has schema 2, this version reads 1"),
        ({"engine": "barman"}, "engine is 'barman', allowed are 'pgbackrest', 'dump', ''"),
        ({"port": "5432"}, "port is text, not a number"),
        ({"port": True}, "port is a truth value, not a number"),
        ({"dump": {"folder": "/d", "keep": 0}}, "dump.keep is 0, allowed are numbers above 0"),
        ({"dump": {"folder": "/d"}}, "dump lacks keep"),
        ({"passphrase": "x"}, "it has passphrase, which this version does not know"),
        (
            {"repositories": [{"number": 1, "kind": "tape"}]},
            "repositories[0].kind is 'tape', allowed are 'local', 's3'",
        ),
        ({"redis": {"role": "queue", "data_dir": "/r"}}, "redis.role is 'queue', allowed are 'cache', 'state'"),
        ({"commands": []}, "commands is a list, not an object"),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(host: Host, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BackupError) as caught:
        host.specify(**changes)
    assert str(caught.value) == (
        f"The backup specification {host.path} cannot be used: {told}; deploy the mesh again, which writes it anew."
    )


def test_a_missing_and_a_torn_file_are_told(host: Host) -> None:
    with pytest.raises(BackupError, match="There is no backup specification"):
        load_spec(f"{host.path}.not")
    (host.root / "backup.json").write_text('{"schema": 1, "mesh"', encoding="utf-8")
    with pytest.raises(BackupError, match="cannot be read"):
        load_spec(host.path)
