"""A second repository in object storage, and what is told when that turns us away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backed_site import Backed, give_keys, settings_for, wish
from story_claims import succeeded

from tests.testbed.object_store import ObjectStore


class ObjectStoreStories:
    """`backed` is a fixture with a deployed site that is healthy, `store` one with storage."""

    @pytest.fixture
    def stored(self, backed: Backed, store: ObjectStore) -> Iterator[Backed]:
        """The site with a second repository in object storage."""
        give_keys(backed, store)
        stored = Backed(backed.site, (*backed.arguments, *wish(s3=settings_for(store))))
        succeeded(stored.run("deploy"))
        yield stored
        succeeded(backed.run("deploy"))

    def test_object_storage_has_what_is_needed_until_its_credential_expires(
        self, stored: Backed, store: ObjectStore
    ) -> None:
        status = stored.status()
        assert [(each["number"], each["code"], each["cipher"]) for each in status["repositories"]] == [
            (1, 0, "aes-256-cbc"),
            (2, 0, "aes-256-cbc"),
        ]
        assert {each["repository"] for each in status["backups"]} == {1, 2}
        succeeded(stored.backup("configuration"))
        names = store.names()
        assert [name for name in names if "/configuration/" in name]
        assert [name for name in names if "/escrow/" in name]
        assert [name for name, text in stored.secrets().items() if store.contains(text)] == []
        store.expire()
        try:
            code, told = stored.program("check")
            assert code == 1
            assert "403" in told or "Forbidden" in told or "credential" in told, told
            assert store.secret not in told
            assert stored.status()["problems"]
        finally:
            store.renew()
        code, told = stored.program("check")
        assert code == 0, told
        assert stored.status()["archive"]["gaps"] == []
