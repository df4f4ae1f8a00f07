"""What runs on the cluster before anybody uses it: DNS, the metrics API and storage. Objects of Kubernetes as dicts."""

from __future__ import annotations

import json
from typing import Any

from .layout import DNS_SERVICE, DOMAIN

Object = dict[str, Any]

SYSTEM = "kube-system"
STORAGE = "local-volumes"
VOLUMES = "/var/lib/local-volumes"
STORAGE_CLASS = "local"
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"

COREFILE = f"""\
.:53 {{
  errors
  health
  ready
  kubernetes {DOMAIN} in-addr.arpa {{
    pods insecure
    ttl 5
  }}
  forward . /etc/resolv.conf
  cache 5
}}
"""


def corefile(upstream: list[str]) -> str:
    """Without a name server outside, names outside do not exist."""
    return COREFILE if upstream else COREFILE.replace("  forward . /etc/resolv.conf\n", "")


def objects(images: dict[str, str], upstream: list[str]) -> list[Object]:
    """All objects, in an order that can be applied. `images` has coredns, metrics-server, local-path-provisioner and
    busybox."""
    return [
        *dns(images["coredns"], upstream),
        *metrics(images["metrics-server"]),
        *storage(images["local-path-provisioner"], images["busybox"]),
    ]


def dns(image: str, upstream: list[str]) -> list[Object]:
    readable = [
        _rule("", ["endpoints", "services", "pods", "namespaces"], ["list", "watch"]),
        _rule("discovery.k8s.io", ["endpointslices"], ["list", "watch"]),
    ]
    container = {
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 2},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
    }
    service = {
        "clusterIP": str(DNS_SERVICE),
        "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}],
    }
    return [
        *_account(SYSTEM, "coredns", readable),
        _object("v1", "ConfigMap", "coredns", SYSTEM, data={"Corefile": corefile(upstream)}),
        _deployment(
            SYSTEM, "coredns", image, container, [{"name": "config", "configMap": {"name": "coredns"}}],
            # The name that policies and dashboards know DNS by.
            labels={"k8s-app": "kube-dns"}, dnsPolicy="Default",
        ),
        _object("v1", "Service", "kube-dns", SYSTEM, spec=service | {"selector": {"k8s-app": "kube-dns"}}),
    ]  # fmt: skip


def metrics(image: str) -> list[Object]:
    name, port = "metrics-server", 10250
    readable = [
        _rule("", ["nodes/metrics"], ["get"]),
        _rule("", ["pods", "nodes"], ["get", "list", "watch"]),
    ]
    container = {
        "args": [
            "--cert-dir=/tmp",
            f"--secure-port={port}",
            "--metric-resolution=15s",
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-certificate-authority=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
        ],
        "ports": [{"name": "https", "containerPort": port}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"}, "periodSeconds": 2},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": _unprivileged(),
    }
    api = {
        "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
        "service": {"name": name, "namespace": SYSTEM}, "insecureSkipTLSVerify": True,
    }  # fmt: skip
    reader = {f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("view", "edit", "admin")}
    rules = [_rule("metrics.k8s.io", ["pods", "nodes"], ["get", "list", "watch"])]
    return [
        *_account(SYSTEM, name, readable),
        _cluster_role("system:aggregated-metrics-reader", rules, labels=reader),
        _binding("ClusterRoleBinding", f"{name}:delegator", "", "ClusterRole", "system:auth-delegator", SYSTEM, name),
        _binding(
            "RoleBinding", f"{name}:reader", SYSTEM, "Role", "extension-apiserver-authentication-reader", SYSTEM, name
        ),
        _deployment(SYSTEM, name, image, container, [{"name": "tmp", "emptyDir": {}}]),
        _object(
            "v1", "Service", name, SYSTEM,
            spec={"selector": {"k8s-app": name}, "ports": [{"port": 443, "targetPort": "https"}]},
        ),
        _object("apiregistration.k8s.io/v1", "APIService", "v1beta1.metrics.k8s.io", spec=api),
    ]  # fmt: skip


def storage(image: str, shell: str) -> list[Object]:
    """A default class whose volumes are folders of the worker that the first pod comes to, and go with their claim."""
    name = "local-path-provisioner"
    rules = [
        _rule("", ["nodes", "persistentvolumeclaims", "configmaps", "pods", "pods/log"], ["get", "list", "watch"]),
        _rule("", ["pods"], ["create", "patch", "update", "delete"]),
        _rule("", ["persistentvolumes"], ["get", "list", "watch", "create", "patch", "update", "delete"]),
        _rule("", ["events"], ["create", "patch"]),
        _rule("storage.k8s.io", ["storageclasses"], ["get", "list", "watch"]),
    ]
    paths = {"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [VOLUMES]}]}
    helper = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {"containers": [{"name": "helper-pod", "image": shell, "imagePullPolicy": "Never"}]},
    }
    config = {
        "config.json": json.dumps(paths),
        "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
        "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
        "helperPod.yaml": json.dumps(helper),
    }
    container = {
        "args": [
            "start",
            "--config=/etc/config/config.json",
            f"--configmap-name={name}",
            f"--service-account-name={name}",
        ],
        "env": [
            {"name": "POD_NAMESPACE", "value": STORAGE},
            {"name": "CONFIG_MOUNT_PATH", "value": "/etc/config/"},
        ],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}],
        "securityContext": _unprivileged(),
    }
    return [
        _object("v1", "Namespace", STORAGE),
        *_account(STORAGE, name, rules),
        _object("v1", "ConfigMap", name, STORAGE, data=config),
        _deployment(STORAGE, name, image, container, [{"name": "config", "configMap": {"name": name}}]),
        _object(
            "storage.k8s.io/v1", "StorageClass", STORAGE_CLASS,
            # Of type `local`, a volume gets the group of its pod; a bare folder of the host would not.
            annotations={"storageclass.kubernetes.io/is-default-class": "true", "defaultVolumeType": "local"},
            provisioner="rancher.io/local-path", volumeBindingMode="WaitForFirstConsumer", reclaimPolicy="Delete",
        ),
    ]  # fmt: skip


def _object(api: str, kind: str, name: str, namespace: str = "", *, labels: dict[str, str] | None = None,
            annotations: dict[str, str] | None = None, **content: Any) -> Object:  # fmt: skip
    metadata: Object = {"name": name}
    for key, value in (("namespace", namespace), ("labels", labels), ("annotations", annotations)):
        if value:
            metadata[key] = value
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}


def _deployment(namespace: str, name: str, image: str, container: Object, volumes: list[Object], *,
                labels: dict[str, str] | None = None, **pod: Any) -> Object:  # fmt: skip
    marks = labels or {"k8s-app": name}
    template = {
        "metadata": {"labels": marks},
        "spec": {
            "serviceAccountName": name,
            "priorityClassName": "system-cluster-critical",
            # The control plane is never drained or killed, so DNS outlives what tests do to workers.
            "nodeSelector": {CONTROL_PLANE_LABEL: ""},
            "tolerations": [{"key": CONTROL_PLANE_LABEL, "operator": "Exists"}],
            "containers": [{"name": name, "image": image, "imagePullPolicy": "Never", **container}],
            "volumes": volumes,
            **pod,
        },
    }
    spec = {"replicas": 1, "selector": {"matchLabels": marks}, "template": template}
    return _object("apps/v1", "Deployment", name, namespace, labels=marks, spec=spec)


def _unprivileged() -> Object:
    return {
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "seccompProfile": {"type": "RuntimeDefault"},
        "capabilities": {"drop": ["ALL"]},
    }


def _account(namespace: str, name: str, rules: list[Object]) -> list[Object]:
    role = f"system:{name}"
    return [
        _object("v1", "ServiceAccount", name, namespace),
        _cluster_role(role, rules),
        _binding("ClusterRoleBinding", role, "", "ClusterRole", role, namespace, name),
    ]


def _cluster_role(name: str, rules: list[Object], labels: dict[str, str] | None = None) -> Object:
    return _object("rbac.authorization.k8s.io/v1", "ClusterRole", name, labels=labels, rules=rules)


def _binding(kind: str, name: str, within: str, role_kind: str, role: str, namespace: str, account: str) -> Object:
    return _object(
        "rbac.authorization.k8s.io/v1", kind, name, within,
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        subjects=[{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    )  # fmt: skip


def _rule(group: str, resources: list[str], verbs: list[str]) -> Object:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}
