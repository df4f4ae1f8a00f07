"""Update and rollback of a mesh on a Compose host under load, and what happens when a build is broken."""

from __future__ import annotations

from update_stories import UpdateStories


class TestUpdateOnCompose(UpdateStories):
    """`bench` is a Compose host of its own with `inventories/compose`."""
