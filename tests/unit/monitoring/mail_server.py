"""A local mail server: STARTTLS with a certificate of its own, a log-in, and every mail kept."""

from __future__ import annotations

import base64
import datetime
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "localhost"


@dataclass(frozen=True)
class Mail:
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool
    login: tuple[str, str] | None
    """Name and password, as they were given."""


@dataclass
class MailServer:
    smarthost: str
    certificate: Path
    """What a client has to trust."""
    mails: list[Mail] = field(default_factory=list)


@contextmanager
def mail_server(folder: Path) -> Iterator[MailServer]:
    certificate = _certificate(folder / "mail-server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Handler(_Session):
        tls = context

        def keep(self, mail: Mail) -> None:
            server.mails.append(mail)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listener:
        server = MailServer(f"{NAME}:{listener.server_address[1]}", certificate)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


class _Session(socketserver.StreamRequestHandler):
    """As much of RFC 5321, 3207 (STARTTLS) and 4954 (AUTH PLAIN) as a client that delivers mail needs."""

    tls: ssl.SSLContext

    def keep(self, mail: Mail) -> None:
        raise NotImplementedError

    def handle(self) -> None:
        self.encrypted, self.login = False, None
        self.sender, self.recipients = "", list[str]()
        self._say("220 localhost ESMTP")
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            verb, _, rest = line.partition(" ")
            if verb.upper() == "QUIT":
                self._say("221 bye")
                return
            self._answer(verb.upper(), rest)

    def _answer(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO":
                self._say("250-localhost", "250 AUTH PLAIN" if self.encrypted else "250 STARTTLS")
            case "STARTTLS":
                self._say("220 go ahead")
                self.request = self.tls.wrap_socket(self.request, server_side=True)
                self.setup()
                self.encrypted = True
            case "AUTH":
                _, name, password = base64.b64decode(rest.removeprefix("PLAIN ")).decode().split("\0")
                self.login = (name, password)
                self._say("235 welcome")
            case "MAIL":
                self.sender, self.recipients = _address(rest), []
                self._say("250 ok")
            case "RCPT":
                self.recipients.append(_address(rest))
                self._say("250 ok")
            case "DATA":
                self._say("354 go ahead")
                content = self._content()
                self.keep(Mail(self.sender, tuple(self.recipients), content, self.encrypted, self.login))
                self._say("250 kept")
            case _:
                self._say("502 not known here")

    def _content(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


def _address(argument: str) -> str:
    return argument.partition("<")[2].partition(">")[0]


def _certificate(path: Path) -> Path:
    """Key and certificate, which is its own authority, for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(pem))
    return path
