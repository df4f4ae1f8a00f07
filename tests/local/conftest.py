from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from local_mesh import LocalMesh

REPOSITORY = Path(__file__).resolve().parents[2]
for folder in (REPOSITORY, REPOSITORY / "tests" / "local", REPOSITORY / "collections"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session")
def mesh() -> Iterator[LocalMesh]:
    """A mesh of local processes, deployed once; each test leaves it healthy."""
    from local_mesh import new_mesh

    with new_mesh("shared", shift=0) as found:
        outcome = found.deploy()
        assert outcome.code == 0, outcome.output[-4000:]
        yield found
