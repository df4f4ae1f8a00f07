"""What pytest shows of a fixture when a test fails is kept in results: no secret of a site of the tests is in it."""

from __future__ import annotations

from typing import Any

import pytest
from k8s_stores import Stores

from tests.testbed.acknowledged_rows import Ledger
from tests.testbed.cluster.certificates import Pair
from tests.testbed.object_store import ObjectStore

SECRET = "hidden-from-whoever-reads-a-result"


@pytest.mark.parametrize(
    "thing",
    [
        Stores(None, "stores", {"redis_password": SECRET}),  # type: ignore[arg-type]
        Ledger("127.0.0.1:3000", SECRET),
        Pair("certificate", SECRET),
        ObjectStore("container", "storage:443", "authority", "writer", SECRET),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_no_secret_is_in_what_is_shown(thing: Any) -> None:
    assert SECRET not in repr(thing)
