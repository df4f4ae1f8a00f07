"""Which files of a host only a rollout writes: those of slots, of the migration, and HAProxy's list of servers."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, has_role, hosts_with_role
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.driver import Driver, has_slots
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.possible import possible_slots


def slot_paths(plan: Plan, host: str) -> list[str]:
    """Paths on a host, of every slot that an earlier plan may have had there too; none without slots."""
    if not has_slots(plan):
        return []
    driver = Driver(plan)
    paths: set[str] = set()
    for slot in possible_slots(plan, host):
        paths |= {file.path for file in driver.slot(slot).files}
    if hosts_with_role(plan, "app")[0] == host:
        paths |= {file.path for file in driver.migration().files}
    if has_role(plan, host, "edge"):
        paths.add(driver.rollout().haproxy_config)
    return sorted(paths)
