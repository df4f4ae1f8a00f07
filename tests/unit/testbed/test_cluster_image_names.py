"""A node knows an image by a longer name than the machine's engine does."""

from __future__ import annotations

import pytest

from tests.testbed import TestbedError
from tests.testbed.cluster.image_names import reference, repository


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("aimesh/mesh-app:1.1.0", "docker.io/aimesh/mesh-app:1.1.0"),
        ("debian:trixie", "docker.io/library/debian:trixie"),
        ("registry.example/mesh/app:1", "registry.example/mesh/app:1"),
        ("localhost/app:1", "localhost/app:1"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
    ],
)
def test_a_name_is_completed_by_what_docker_leaves_out(name: str, full: str) -> None:
    assert reference(name) == full
    assert repository(name) == full.rpartition(":")[0]


@pytest.mark.parametrize("name", ["aimesh/mesh-app", "localhost:5000/app", "aimesh/app@sha256:00"])
def test_a_name_without_a_tag_is_refused(name: str) -> None:
    with pytest.raises(TestbedError, match="does not say which image"):
        reference(name)
