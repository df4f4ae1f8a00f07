"""Small objects that the tests of a cluster put onto it: the dicts that `Cluster.apply` takes."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def pod(name: str, image: str, command: str, **container: Any) -> Object:
    """A pod that runs a shell command once."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [_container(image, command, **container)],
        },
    }


def deployment(name: str, image: str, command: str, replicas: int, **container: Any) -> Object:
    """Replicas on different nodes, as far as there are nodes."""
    marks = {"app": name}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": marks},
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "topologySpreadConstraints": [spread],
        "containers": [_container(image, command, **container)],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": marks},
            "template": {"metadata": {"labels": marks}, "spec": spec},
        },
    }


def service(name: str, port: int) -> Object:
    """A Service on port 80 for the pods of that name."""
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def web_server(name: str, image: str, replicas: int) -> list[Object]:
    """A Service whose pods answer with their own name."""
    command = "mkdir -p /tmp/www && hostname > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    return [deployment(name, image, command, replicas, readinessProbe=probe), service(name, 8080)]


def restricted(document: Object) -> Object:
    """The pod as the Pod Security Standard `restricted` wants it."""
    container = document["spec"]["containers"][0]
    container["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return document


def _container(image: str, command: str, **container: Any) -> Object:
    return {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", command],
        **container,
    }
