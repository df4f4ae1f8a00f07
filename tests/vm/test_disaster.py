"""A mesh with a gigabyte of data loses its database, its database host and its secrets, and comes back.

Too long for the merge gate: `make acceptance ARGS=disaster`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import molecule_runs
import pyrage
import pytest
from backed_site import Backed, give_keys, said, settings_for, wish
from story_claims import succeeded

from tests.testbed import Testbed, bulk_rows, database, disaster, object_store
from tests.testbed.acknowledged_rows import Ledger
from tests.testbed.object_store import ObjectStore
from tests.testbed.site import Site

NAME, ADDRESS = "vm1", "192.0.2.10"
MEGABYTES = 1050


@dataclass
class Large:
    """The mesh, its object storage, and the file with the operator's own key, which is nowhere else."""

    backed: Backed
    store: ObjectStore
    key: Path


@pytest.fixture(scope="module")
def large(bed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Large:
    """`inventories/small` with a gigabyte in its database, and a full backup of that on the host and elsewhere."""
    folder = tmp_path_factory.mktemp("disaster")
    store = object_store.start(bed)
    identity = pyrage.x25519.Identity.generate()
    key = folder / "offline-key"
    key.touch(mode=0o600)
    key.write_text(f"{identity}\n")
    arguments = wish(s3=settings_for(store), recipients=[str(identity.to_public())])
    backed = Backed(Site("small", bed, folder, {ADDRESS: bed.start(NAME)}), arguments)
    give_keys(backed, store)
    succeeded(backed.run("deploy"))
    bulk_rows.fill(backed.vm, backed.plan, MEGABYTES)
    succeeded(backed.backup("full"))
    return Large(backed, store, key)


@pytest.mark.parametrize("moment", disaster.MOMENTS)
def test_what_was_acknowledged_a_minute_before_the_disaster_is_there_afterwards(large: Large, moment: str) -> None:
    backed = large.backed
    held = disaster.happen(backed.vm, backed.plan, moment, lambda: succeeded(backed.run("restore")))
    print(held.line)
    assert held.size >= 1e9
    assert held.problems == []
    assert backed.site.verify(*backed.arguments).returncode == 0


def test_a_lost_host_comes_back_from_object_storage_with_the_offline_key_alone(large: Large, bed: Testbed) -> None:
    backed, store = large.backed, large.store
    succeeded(backed.backup("configuration"))
    plan, ledger = backed.plan, Ledger.of(backed.vm, backed.plan)
    with ledger.load():
        disaster.before_switch(backed.vm, plan)
        bed.lose(NAME)
        lost_at = time.time()
    backed.site.move(backed.vm, bed.start(NAME))
    secrets = backed.site.inventory / "secrets.yml"
    secrets.unlink()
    # What an operator does with any client of such storage.
    newest = max(name for name in store.names() if "/escrow/" in name)
    archive = large.key.with_name("escrow.age")
    archive.write_bytes(store.read(newest))
    refused = backed.run("restore")
    said(refused)
    assert not secrets.exists() or "backup_passphrase" not in secrets.read_text()
    secrets.unlink(missing_ok=True)
    begun = time.monotonic()
    keys = ("-e", f"mesh_escrow_key={large.key}", "-e", f"mesh_escrow_archive={archive}")
    succeeded(backed.run("restore", *keys, timeout=1500))
    took = time.monotonic() - begun
    lost = ledger.lost(backed.vm, plan, lost_at)
    rpo = lost_at - lost[0][1] if lost else 0.0
    print(f"host and secrets lost: RPO {rpo:.1f} s ({len(lost)} of {len(ledger.rows)} rows), rebuilt in {took:.0f} s")
    assert rpo <= disaster.RPO_S
    assert bulk_rows.size(backed.vm, plan) >= 1e9
    # Callers keep their tokens: the secrets are the old ones.
    assert Ledger(f"{backed.vm.address}:{ledger.url.rpartition(':')[2]}", ledger.token).write()
    assert backed.site.verify(*backed.arguments).returncode == 0


def test_a_stranger_s_key_opens_no_escrow(large: Large, tmp_path: Path) -> None:
    """Negative control: the store stays as it is."""
    backed = large.backed
    secrets = backed.site.inventory / "secrets.yml"
    before = secrets.read_text()
    key = tmp_path / "stranger"
    key.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    archive = large.key.with_name("escrow.age")
    said(backed.run("restore", "-e", f"mesh_escrow_key={key}", "-e", f"mesh_escrow_archive={archive}"), "escrow")
    assert secrets.read_text() == before
    assert database.timeline(backed.vm, backed.plan) > 1


@pytest.mark.parametrize("scenario", molecule_runs.DISASTERS)
def test_molecule_test_passes(scenario: str) -> None:
    molecule_runs.passes(scenario)
    print(f"{scenario}: {disaster.kept('molecule')[-1].line}")
