"""Update and rollback of a mesh on a VM under load, and what happens when a build is broken."""

from __future__ import annotations

from update_stories import UpdateStories


class TestUpdateOnVm(UpdateStories):
    """`bench` is a VM of its own with `inventories/small`."""
