"""PostgreSQL and Redis as a site has them that runs its own: set up by hand, in a namespace that is not the mesh's."""

from __future__ import annotations

import base64
import datetime
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import redis_rights
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.redis_files import MONITOR_RIGHTS
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import LOGIN as MONITOR
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from k8s_site import KubeSite

DATABASE, CACHE = "database", "cache"
USER = 10011
NAMES = (
    "db_owner_password", "db_app_a_password", "db_app_b_password", "db_monitor_password",
    "redis_password", "redis_monitor_password",
)  # fmt: skip
START_DATABASE = """set -eu
initdb --pgdata=/data/db --username=postgres --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust \
  --auth-host=scram-sha-256 >/dev/null
echo 'hostssl all all all scram-sha-256' > /data/db/pg_hba.conf
echo 'local all all trust' >> /data/db/pg_hba.conf
exec postgres -D /data/db -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=300 \
  -c ssl=on -c ssl_cert_file=/given/tls.crt -c ssl_key_file=/given/tls.key"""
START_CACHE = "exec redis-server --protected-mode no --save '' --aclfile /given/users.acl --dir /data"
ACCOUNTS = """
CREATE ROLE mesh LOGIN PASSWORD '{db_owner_password}';
CREATE ROLE mesh_app_a LOGIN PASSWORD '{db_app_a_password}' IN ROLE mesh;
CREATE ROLE mesh_app_b LOGIN PASSWORD '{db_app_b_password}' IN ROLE mesh;
CREATE ROLE mesh_monitor LOGIN PASSWORD '{db_monitor_password}' IN ROLE pg_monitor;
CREATE DATABASE mesh_registry OWNER mesh;
REVOKE CONNECT, TEMPORARY ON DATABASE mesh_registry FROM PUBLIC;
\\connect mesh_registry
CREATE EXTENSION pg_trgm;
"""
"""What docs/kubernetes.md and docs/alerting.md ask of a PostgreSQL outside."""


@dataclass
class Stores:
    """Both stores of a site. `settings` is what its inventory says of them."""

    site: KubeSite
    name: str
    passwords: dict[str, str] = field(
        default_factory=lambda: {name: secrets.token_urlsafe(24) for name in NAMES}, repr=False
    )

    @property
    def settings(self) -> dict[str, Any]:
        inside = {"networks": ["10.0.0.0/8"]}
        return {
            "mesh_kubernetes_database": {"kind": "external", "host": self._host(DATABASE), "sslmode": "require"}
            | inside,
            "mesh_kubernetes_cache": {"kind": "external", "host": self._host(CACHE)} | inside,
        }

    def put_passwords(self) -> None:
        """Into the site's store of secrets, before its first deploy; the others are generated then."""
        path = self.site.inventory / "secrets.yml"
        path.touch(mode=0o600)
        path.write_text("".join(f'{name}: "{value}"\n' for name, value in self.passwords.items()))
        program = str(Path(sys.executable).parent / "ansible-vault")
        password = self.site.env["ANSIBLE_VAULT_PASSWORD_FILE"]
        subprocess.run(
            [program, "encrypt", "--vault-password-file", password, str(path)],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def start(self, plan: dict[str, Any], images: dict[str, str]) -> None:
        """`images` of `postgresql` and `redis`, which every worker has."""
        cluster = self.site.cluster
        cluster.kubectl("create", "namespace", self.name)
        key, certificate = _certificate(self._host(DATABASE))
        logins = {"mesh": ("redis_password", redis_rights(plan)), MONITOR: ("redis_monitor_password", MONITOR_RIGHTS)}
        lines = [f"user {name} on >{self.passwords[secret]} {rights}" for name, (secret, rights) in logins.items()]
        users = "\n".join(["user default off", *lines, ""])
        self._server(DATABASE, images["postgresql"], START_DATABASE, 5432, {"tls.key": key, "tls.crt": certificate})
        self._server(CACHE, images["redis"], START_CACHE, 6379, {"users.acl": users.encode()})
        for name in (DATABASE, CACHE):
            cluster.kubectl("--namespace", self.name, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=120s")
        sql = ACCOUNTS.format(**self.passwords)
        words = (
            "--namespace",
            self.name,
            "exec",
            "--stdin",
            DATABASE,
            "--",
            "psql",
            "--host=/tmp",
            "--username=postgres",
        )
        cluster.kubectl(*words, "--set=ON_ERROR_STOP=1", stdin=sql)

    def sql(self, query: str) -> str:
        words = ("--namespace", self.name, "exec", DATABASE, "--", "psql", "--host=/tmp", "--username=postgres")
        return self.site.cluster.kubectl(*words, "--dbname=mesh_registry", "-At", "-c", query).strip()

    def stop(self) -> None:
        self.site.cluster.kubectl("delete", "namespace", self.name, "--ignore-not-found", "--wait=false")

    def _psql(self, *words: str, stdin: str) -> str:
        inside = ("psql", "--host=/tmp", "--username=postgres", *words)
        return self.site.cluster.kubectl(
            "--namespace", self.name, "exec", "--stdin", DATABASE, "--", *inside, stdin=stdin
        )

    def _host(self, name: str) -> str:
        return f"{name}.{self.name}.svc.cluster.local"

    def _server(self, name: str, image: str, start: str, port: int, given: dict[str, bytes]) -> None:
        labels = {"app": name}
        container = {
            "name": name, "image": image, "imagePullPolicy": "Never", "command": ["sh", "-c", start],
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
            "volumeMounts": [
                {"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"},
                {"name": "given", "mountPath": "/given", "readOnly": True},
            ],
        }  # fmt: skip
        spec = {
            "securityContext": {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER},
            "containers": [container],
            "volumes": [
                {"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}},
                {"name": "given", "secret": {"secretName": name, "defaultMode": 0o440}},
            ],
        }  # fmt: skip
        data = {key: base64.b64encode(value).decode() for key, value in given.items()}
        metadata = {"name": name, "namespace": self.name, "labels": labels}
        offered = {"selector": labels, "ports": [{"port": port, "targetPort": port}]}
        self.site.cluster.apply(
            [
                {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data},
                {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": metadata,
                    "spec": offered,
                },
            ]
        )


def _certificate(host: str) -> tuple[bytes, bytes]:
    """A key and a certificate that it signed itself, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host[:64])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)
