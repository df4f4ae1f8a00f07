"""The way to a cluster: a kubeconfig and a context of it, which are read and never written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError

CLUSTER_OPTIONS: dict[str, Any] = {
    "kubeconfig": {"type": "str", "default": ""},
    "context": {"type": "str", "default": ""},
    "namespace": {"type": "str", "required": True},
}
"""The option `cluster` of every module that talks to one."""
INSIDE = "KUBERNETES_SERVICE_HOST"
MISSING = (
    "The Python package kubernetes is not installed where this runs ({python}); "
    "make venv-kubernetes installs it, and ansible_python_interpreter has to be {{{{ ansible_playbook_python }}}}."
)


def api_client(cluster: Mapping[str, Any]) -> Any:
    """A client of the package kubernetes for `{kubeconfig, context}`; without a kubeconfig the usual places count.

    In a pod without one, its service account is used. Raises ClusterError.
    """
    import sys

    try:
        import yaml
        from kubernetes import config
    except ImportError:
        raise ClusterError(MISSING.format(python=sys.executable)) from None
    path, context = str(cluster.get("kubeconfig") or ""), str(cluster.get("context") or "")
    where = kubeconfig_files(path)
    try:
        if not any(Path(each).is_file() for each in where) and not path and os.environ.get(INSIDE):
            return as_kubectl_checks(_inside(config))
        return as_kubectl_checks(
            config.new_client_from_config(os.pathsep.join(where), context or None, persist_config=False)
        )
    except config.ConfigException as error:
        wanted = f"the context {context} of " if context else ""
        raise ClusterError(
            f"The cluster cannot be found through {wanted}{os.pathsep.join(where)}: {str(error).rstrip('.')}; "
            "set mesh_kubernetes_kubeconfig and mesh_kubernetes_context to what `kubectl config get-contexts` shows."
        ) from None
    except yaml.YAMLError:
        raise ClusterError(f"The kubeconfig {os.pathsep.join(where)} is no YAML; see that it is a whole one.") from None
    except (OSError, ValueError) as error:
        raise ClusterError(f"The kubeconfig {os.pathsep.join(where)} cannot be read: {error}.") from None


def kubeconfig_files(path: str) -> list[str]:
    """The files that kubectl would read, in its order."""
    if path:
        return [str(Path(path).expanduser())]
    given = [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return given or [str(Path("~/.kube/config").expanduser())]


def as_kubectl_checks(client: Any) -> Any:
    """The client, which takes the certificates that kubectl takes. Raises OSError for files that cannot be read.

    Chain, validity and name are checked. Python from 3.13 on asks besides for identifiers of keys, which the
    certificates of many a cluster do not have (kubernetes-client/python#2394).
    """
    import ssl

    from urllib3.util.ssl_ import create_urllib3_context

    if client.configuration.verify_ssl:
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        options = client.rest_client.pool_manager.connection_pool_kw
        # Each connection would load the files again into the one context; two threads at that crash the process.
        authority, certificate, key = (options.pop(name, None) for name in ("ca_certs", "cert_file", "key_file"))
        if authority:
            context.load_verify_locations(authority)
        else:
            context.load_default_certs()
        if certificate:
            context.load_cert_chain(certificate, key)
        options["ssl_context"] = context
    return client


def _inside(config: Any) -> Any:
    from kubernetes import client

    settings = client.Configuration()
    config.load_incluster_config(client_configuration=settings)
    return client.ApiClient(settings)
