"""The way to the API server: which certificates it takes, and that many threads may go it at once."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import as_kubectl_checks
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.certificate import metrics_certificate


def certificate() -> bytes:
    """A new key with its certificate, PEM."""
    return base64.b64decode(metrics_certificate())


def client_that(verify_ssl: bool, **options: str | None) -> Any:
    """As much of the package's client as decides about certificates."""
    pool = SimpleNamespace(connection_pool_kw=dict(options))
    return SimpleNamespace(
        configuration=SimpleNamespace(verify_ssl=verify_ssl), rest_client=SimpleNamespace(pool_manager=pool)
    )


def options_of(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = as_kubectl_checks(client).rest_client.pool_manager.connection_pool_kw
    return found


def test_certificates_are_checked_as_kubectl_checks_them() -> None:
    pytest.importorskip("urllib3")
    context = options_of(client_that(True))["ssl_context"]
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    assert options_of(client_that(False)) == {}


def test_no_connection_loads_a_file_again_into_the_context_of_all(tmp_path: Path) -> None:
    """Two threads at that crash the process (`SSL_CTX_use_certificate` under a handshake)."""
    pytest.importorskip("urllib3")
    pem = tmp_path / "both.pem"
    pem.write_bytes(certificate())
    files = dict.fromkeys(("ca_certs", "cert_file", "key_file"), str(pem))
    told = options_of(client_that(True, **files, assert_hostname=None))
    assert set(told) == {"ssl_context", "assert_hostname"}
    assert len(told["ssl_context"].get_ca_certs()) == 1


def test_without_an_authority_those_of_the_system_count(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("urllib3")
    asked: list[str] = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: asked.append("system"))
    told = options_of(client_that(True, ca_certs=None, cert_file=None, key_file=None))
    assert asked == ["system"]
    assert set(told) == {"ssl_context"}


def test_a_key_that_does_not_belong_to_its_certificate_is_an_error_of_files(tmp_path: Path) -> None:
    pytest.importorskip("urllib3")
    one, other = tmp_path / "one.pem", tmp_path / "other.pem"
    one.write_bytes(certificate())
    other.write_bytes(certificate())
    with pytest.raises(OSError, match="KEY_VALUES_MISMATCH"):
        options_of(client_that(True, ca_certs=str(one), cert_file=str(one), key_file=str(other)))
