"""The chart's objects as files that are applied one after the other, in the order of the operations playbook.

A file needs what is in those before it: when its objects are ready, the next one can come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import (
    BACKUP,
    COMPONENT_LABEL,
    DRILL,
    LOAD,
    MIGRATE,
    POSTGRESQL,
    REDIS,
    RESTORE,
    TEST,
    VERIFICATION,
    labels,
    namespace,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secrets import chart_secrets
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.values import chart_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import CENTRAL, EXPORTERS
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

Object = dict[str, Any]

NAMESPACE, CONFIGMAP, SECRETS, INGRESS = "namespace", "configmap", "secrets", "ingress"
WATCHING = "monitoring"
"""What the playbook does not name, and what nothing else needs."""
ORDER = (
    NAMESPACE,
    CONFIGMAP,
    SECRETS,
    "postgres",
    "redis",
    "registry",
    "telemetry",
    "policy",
    "federation",
    "api-gateway",
    "ui",
    INGRESS,
    WATCHING,
)
"""Files in the order in which they are applied, without `.yaml`."""
FILE_OF = (
    {POSTGRESQL: "postgres", REDIS: "redis", MIGRATE: "postgres", BACKUP: "postgres"}
    | dict.fromkeys((TEST, LOAD, DRILL, VERIFICATION, RESTORE, "network"), NAMESPACE)
    | dict.fromkeys((*EXPORTERS, *CENTRAL), WATCHING)
)
"""Component → its file, where that has another name. The migration belongs to the database that it changes."""
KINDS = (
    *("NetworkPolicy", "ServiceAccount", "PersistentVolumeClaim", "ConfigMap", "Service"),
    *("PodDisruptionBudget", "StatefulSet", "Cluster"),
)
"""Kinds that come first in a file, in this order."""
PROFILE = "restricted"
HEADING = "# Rendered from charts/ai-agent-mesh by `make k8s`; edits are overwritten.\n"
VALUES_HEADING = """\
# Values by example, those of tests/fixtures/plan_kubernetes.json: `make k8s` writes them. A deploy renders all of them
# from the plan of its inventory; values.schema.json says what each may be.
"""
SECRETS_HEADING = """\
# Names and keys alone. `ansible-playbook site.yml` writes the values; applied by hand over a Secret that has values,
# this leaves them. By hand: kubectl create secret generic NAME --from-file=KEY=FILE ..., docs/kubernetes.md.
"""


class _Text(yaml.SafeDumper):
    """Texts of several lines as people read them, and no references between objects."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Text.add_representer(str, _text)


def values_text(plan: Plan) -> str:
    """Values of the example as YAML. Its PostgreSQL archives nothing: what would take that is written by a deploy."""
    values = chart_values(plan)
    values["postgresql"]["settings"] |= {"archive_mode": "off"}
    return VALUES_HEADING + _yaml(values)


def default_values(plan: Plan) -> str:
    """The chart's own values: without an Ingress, since what a deploy leaves out would be taken from here."""
    return values_text({**plan, "kubernetes": {**plan["kubernetes"], "ingress": None}})


def manifest_files(plan: Plan, rendered: str) -> dict[str, str]:
    """Name of a file → its text, in `ORDER`. `rendered` is what `helm template --no-hooks` says."""
    found = split([each for each in yaml.safe_load_all(rendered) if each])
    found[NAMESPACE] = [namespace_object(plan), *found[NAMESPACE]]
    files = {name: HEADING + "".join(f"---\n{_yaml(each)}" for each in found[name]) for name in ORDER if found[name]}
    files[SECRETS] = HEADING + SECRETS_HEADING + "".join(f"---\n{_yaml(each)}" for each in secret_objects(plan))
    return {f"{name}.yaml": files[name] for name in ORDER if name in files}


def split(objects: Iterable[Object]) -> dict[str, list[Object]]:
    """The objects of the chart by file, each file's in the order in which they are to be applied."""
    found: dict[str, list[Object]] = {name: [] for name in ORDER}
    for each in objects:
        found[file_of(each)].append(each)
    return {name: sorted(each, key=_rank) for name, each in found.items()}


def file_of(each: Object) -> str:
    """The file of an object: that of its component, else that of its kind."""
    component = str(each["metadata"]["labels"][COMPONENT_LABEL])
    name = FILE_OF.get(component, component)
    if name in ORDER:
        return name
    return CONFIGMAP if each["kind"] == "ConfigMap" else INGRESS


def namespace_object(plan: Plan) -> Object:
    """The mesh's namespace: no pod with more rights than the profile `restricted` has gets into it."""
    enforced = {f"pod-security.kubernetes.io/{mode}": PROFILE for mode in ("enforce", "audit", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace(plan), "labels": {**labels(plan), **enforced}},
    }


def secret_objects(plan: Plan) -> list[Object]:
    """The Secrets of the plan without a value; an annotation says which keys they need."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": secret.name,
                "namespace": namespace(plan),
                "labels": labels(plan),
                "annotations": {"aimesh.io/keys": " ".join(secret.keys)},
            },
            "type": secret.type,
        }
        for secret in chart_secrets(plan)
    ]


def _rank(each: Mapping[str, Any]) -> int:
    return KINDS.index(each["kind"]) if each["kind"] in KINDS else len(KINDS)


def _yaml(document: Any) -> str:
    return yaml.dump(document, Dumper=_Text, sort_keys=False, width=120, allow_unicode=True)
