"""Whether a listener lets in who has the mesh's certificate, and nobody else."""

from __future__ import annotations

import base64
import http.client
import os
import ssl
from typing import Any

from .base import Environment, ProbeError, Question


def answer_tls(question: Question, environment: Environment) -> dict[str, Any]:
    """`host`, `port`, `path`, `server_name`, `certificate` (name of the secret) → {"member", "stranger", "plain"}.

    Each is the status of a GET, or the reason why there was none, in words: `member` shows the certificate, `stranger`
    speaks TLS without one, `plain` speaks no TLS. The secret is base64 of PEM, key and certificate. Raises ProbeError
    when nothing listens.
    """
    pem = base64.b64decode(environment.secret(str(question["certificate"])))
    address = (str(question["host"]), int(question["port"]))
    member, stranger = _trusting(pem), _trusting(pem)
    _show(member, pem)
    clients = {"member": member, "stranger": stranger, "plain": None}
    return {who: _status(address, question, context, environment.timeout) for who, context in clients.items()}


def _trusting(pem: bytes) -> ssl.SSLContext:
    # Python 3.13's default context wants extensions that a self-signed certificate has no need of.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem.decode("ascii", "replace"))
    return context


def _show(context: ssl.SSLContext, pem: bytes) -> None:
    """OpenSSL reads keys from files alone; this one is memory that ends with its descriptor."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _status(address: tuple[str, int], question: Question, context: ssl.SSLContext | None, timeout: float) -> int | str:
    name = str(question["server_name"])
    connection: http.client.HTTPConnection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        connection.connect()
        if context is not None:
            connection.sock = context.wrap_socket(connection.sock, server_hostname=name)
        connection.request("GET", str(question["path"]), headers={"Host": name, "Connection": "close"})
        return connection.getresponse().status
    except ConnectionRefusedError:
        raise ProbeError(f"connection refused: nothing listens at {address[0]}:{address[1]}") from None
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
