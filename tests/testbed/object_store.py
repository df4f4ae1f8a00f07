"""S3-compatible object storage of a run: a container on the run's network, with TLS by an authority of its own.

It goes with the run like every other host. Signatures are checked for real; a credential can be made invalid.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import secrets
import time
from dataclasses import dataclass, field

from . import gateway_program
from .bed import LABEL, Testbed
from .command import TestbedError, docker
from .image import BASES

REGION = "eu-1"
PORT = 443
BUCKET = "backups"
DATA = "/data"

# The address is known once the container runs, and the certificate names the address.
START = """\
mkdir -p /iam && until [ -e /tls/ready ]; do sleep 0.1; done
exec versitygw --port :443 --cert /tls/cert --key /tls/key --region {region} \
  --iam-dir /iam --iam-cache-disable --quiet posix {data}
"""


@dataclass
class ObjectStore:
    """Where the storage is and how one gets in; `ca` is the PEM text of the authority that made its certificate."""

    container: str
    endpoint: str
    ca: str
    key: str
    secret: str = field(repr=False)
    port: int = PORT
    region: str = REGION
    bucket: str = BUCKET

    def expire(self) -> None:
        """The credential opens nothing any more."""
        self._admin("delete-user", "--access", self.key)

    def renew(self) -> None:
        """The credential is valid, with everything that is in the bucket."""
        self._admin("create-user", "--access", self.key, "--secret", self.secret, "--role", "user")

    def names(self) -> list[str]:
        """Paths of all objects in the bucket."""
        listed = docker("exec", self.container, "find", f"{DATA}/{self.bucket}", "-type", "f", "-printf", "%P\\n")
        return sorted(line for line in listed.splitlines() if not line.startswith(".sgwtmp"))

    def read(self, name: str) -> bytes:
        """What is stored under a name."""
        return base64.b64decode(docker("exec", self.container, "base64", f"{DATA}/{self.bucket}/{name}"))

    def contains(self, text: str) -> bool:
        """Whether the text is anywhere in what is stored."""
        found = docker(
            "exec", "--interactive", self.container, "grep", "-rlF", "-f", "-", f"{DATA}/{self.bucket}",
            stdin=text + "\n", check=False,
        )  # fmt: skip
        return bool(found)

    def _admin(self, *words: str) -> str:
        return docker(
            "exec", self.container, "versitygw", "admin", "--allow-insecure", "--region", self.region,
            "--endpoint-url", f"https://127.0.0.1:{self.port}", *words, timeout=30,
        )  # fmt: skip


def start(bed: Testbed, name: str = "s3") -> ObjectStore:
    """Storage with an empty bucket and one credential for it, up and answering (a few seconds)."""
    container = f"aimesh-{bed.run_id}-{name}"
    root = {"ACCESS_KEY": "root", "SECRET_KEY": secrets.token_hex(20)}
    settings = [f"--env={who}_{word}={value}" for who in ("ROOT", "ADMIN") for word, value in root.items()]
    docker(
        "run", "--detach", "--init", "--name", container, "--hostname", name, "--network", bed.network,
        "--label", f"{LABEL}={bed.run_id}", *settings, "--volume", DATA,
        "--volume", f"{gateway_program.ensure()}:/usr/local/bin/versitygw:ro", BASES["debian-13"].ensure(),
        "/bin/sh", "-c", START.format(region=REGION, data=DATA), timeout=180,
    )  # fmt: skip
    networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = docker("inspect", "--format", networks, container).strip()
    ca, certificate, key = _certificates(address)
    for file, text in (("cert", certificate), ("key", key), ("ready", "")):
        script = f"mkdir -p /tls && cat > /tls/{file}"
        docker("exec", "--interactive", container, "/bin/sh", "-c", script, stdin=text)
    store = ObjectStore(container, address, ca, key="backup-writer", secret=secrets.token_hex(20))
    _await(store)
    store.renew()
    store._admin("create-bucket", "--bucket", store.bucket, "--owner", store.key)
    return store


def _await(store: ObjectStore, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            store._admin("list-users")
            return
        except TestbedError:
            if time.monotonic() > deadline:
                said = docker("logs", "--tail", "3", store.container, check=False).strip()
                raise TestbedError(f"The object storage did not answer within {seconds:.0f} s: {said}") from None
            time.sleep(0.2)


def _certificates(address: str) -> tuple[str, str, str]:
    """PEM texts of an authority's certificate, and of a server's certificate and key that it made for an address."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def begun(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named("testbed authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = begun("testbed authority", authority).add_extension(x509.BasicConstraints(True, 0), critical=True)
    # pgBackRest compares an address with DNS names alone.
    names = x509.SubjectAlternativeName([x509.DNSName(address), x509.IPAddress(ipaddress.ip_address(address))])
    leaf = begun(address, server).add_extension(names, critical=False)
    pem = serialization.Encoding.PEM
    return (
        root.sign(authority, hashes.SHA256()).public_bytes(pem).decode(),
        leaf.sign(authority, hashes.SHA256()).public_bytes(pem).decode(),
        server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
    )
