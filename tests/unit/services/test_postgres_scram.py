from __future__ import annotations

import base64

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_scram import make_verifier, normalized, verifies

# RFC 7677, section 3: user "user", password "pencil".
RFC_SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
RFC_STORED_KEY = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
RFC_SERVER_KEY = "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="


def test_the_verifier_is_the_one_of_the_standard() -> None:
    made = make_verifier("pencil", salt=RFC_SALT, iterations=4096)
    assert made == f"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==${RFC_STORED_KEY}:{RFC_SERVER_KEY}"


def test_two_verifiers_of_a_password_differ_and_both_verify_it() -> None:
    one, other = make_verifier("correct horse"), make_verifier("correct horse")
    assert one != other
    assert verifies("correct horse", one) and verifies("correct horse", other)


@pytest.mark.parametrize("password", ["correct hors", "Correct horse", "", "correct horse "])
def test_another_password_does_not_verify(password: str) -> None:
    assert not verifies(password, make_verifier("correct horse"))


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "md5d41d8cd98f00b204e9800998ecf8427e",
        "plain",
        "SCRAM-SHA-256$4096:$:",
        "SCRAM-SHA-256$many:AAAA$AAAA:AAAA",
        "SCRAM-SHA-256$4096:!!$AAAA:AAAA",
        "SCRAM-SHA-512" + make_verifier("pencil").removeprefix("SCRAM-SHA-256"),
    ],
)
def test_what_is_no_scram_verifier_verifies_nothing(stored: str | None) -> None:
    assert not verifies("pencil", stored)


def test_both_keys_of_a_verifier_count() -> None:
    head, _, keys = make_verifier("pencil", salt=b"s" * 16).rpartition("$")
    stored, server = keys.split(":")
    other_stored, other_server = make_verifier("another", salt=b"s" * 16).rpartition("$")[2].split(":")
    assert verifies("pencil", f"{head}${stored}:{server}")
    assert not verifies("pencil", f"{head}${stored}:{other_server}")
    assert not verifies("pencil", f"{head}${other_stored}:{server}")


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", "IX"),  # RFC 4013, section 3: the soft hyphen goes
        ("\u00aa", "a"),  # compatibility characters are folded
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),  # other spaces become a space
        ("\u0007ä", "\u0007ä"),  # prohibited: PostgreSQL takes the password as it is
        ("\u0627\u0031", "\u0627\u0031"),  # mixed directions: likewise
        ("plain", "plain"),
    ],
)
def test_passwords_are_prepared_as_postgresql_prepares_them(password: str, prepared: str) -> None:
    assert normalized(password) == prepared
