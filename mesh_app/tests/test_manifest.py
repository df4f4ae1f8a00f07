"""The manifest describes the migration files exactly: a damaged release is noticed before it touches a database."""

from __future__ import annotations

import hashlib
from importlib import resources

import msgspec
import pytest

from mesh.migrate import MigrationError, read_script
from mesh.storage.schema import load_manifest


def test_every_file_is_in_the_manifest_once_in_order_and_with_its_checksum() -> None:
    manifest = load_manifest()
    folder = resources.files("mesh").joinpath("migrations")
    assert [m.file for m in manifest] == sorted(f.name for f in folder.iterdir() if f.name.endswith(".sql"))
    assert [m.version for m in manifest] == list(range(1, len(manifest) + 1))
    for migration in manifest:
        assert hashlib.sha256(folder.joinpath(migration.file).read_bytes()).hexdigest() == migration.sha256
        assert read_script(migration)


def test_compatible_from_never_goes_back_and_never_names_a_later_level() -> None:
    manifest = load_manifest()
    assert [m.compatible_from for m in manifest] == sorted(m.compatible_from for m in manifest)
    assert all(1 <= m.compatible_from <= m.version for m in manifest)


def test_a_file_that_differs_from_its_checksum_is_refused() -> None:
    damaged = msgspec.structs.replace(load_manifest()[0], sha256="0" * 64)
    with pytest.raises(MigrationError, match="release is damaged"):
        read_script(damaged)
