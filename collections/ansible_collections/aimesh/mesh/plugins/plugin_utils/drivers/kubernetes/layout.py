"""Names of the mesh's objects in its namespace, and where pods find what they read."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import Locations
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_files import locations
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

CHART = "charts/ai-agent-mesh"
"""Folder of the chart in the repository and in the bundle."""
NAME = "ai-agent-mesh"
MIGRATE, TEST, LOAD, DRILL, POSTGRESQL, REDIS = "migrate", "test", "load", "drill", "postgresql", "redis"
"""Components besides the services."""
BACKUP, RESTORE = "backup", "restore"
"""Components of backups: what makes them is in the pod of PostgreSQL, a restore has a pod of its own."""
VERIFICATION, VERIFICATION_SECRET = "verification", "verification-credentials"
"""The component that verifies the mesh from inside, and the Secret with what its checks log in with."""
CREDENTIALS, REDIS_USERS, MONITORING = "mesh-credentials", "redis-users", "mesh-monitoring"
"""Secrets that have to be there before the release."""
USERS_FILE = "users.acl"
SECRETS = "/run/secrets/mesh"
ACCOUNTS = "/etc/aimesh/postgresql/accounts"
"""Program in the pod of the bundled database that gives its accounts the passwords of the mounted Secret."""
NAME_LABEL, INSTANCE_LABEL, COMPONENT_LABEL = (f"app.kubernetes.io/{key}" for key in ("name", "instance", "component"))
RELEASE_ANNOTATION, CREDENTIALS_ANNOTATION = "aimesh.io/release", "aimesh.io/credentials"


def release(plan: Plan) -> str:
    """Name of the Helm release."""
    return str(plan["kubernetes"]["release"])


def namespace(plan: Plan) -> str:
    return str(plan["kubernetes"]["namespace"])


def labels(plan: Plan) -> dict[str, str]:
    """Labels of every object of the mesh."""
    return {NAME_LABEL: NAME, INSTANCE_LABEL: release(plan)}


def selector(plan: Plan, component: str) -> dict[str, str]:
    """Labels by which the pods of a service, of a store or of the migration are found."""
    return {**labels(plan), COMPONENT_LABEL: component}


def credential(name: str) -> str:
    """Path of a credential as a pod sees it."""
    return f"{SECRETS}/{name}"


def pod_locations(plan: Plan) -> Locations:
    return locations(plan, credential)
