"""Every known way to forge a JSON Web Token gets 401: at the gateway, and at a service behind it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from support.forge import JWT_KEYS, b64, claims_of, hs256, kid_of, unsigned
from support.mesh import Mesh
from support.oidc import AUDIENCE, OpenIdProvider

SERVICES = ("api-gateway", "registry")
PATH = "/api/v1/agents/count"
MESH = "guarded"
OURS = claims_of(MESH)
FAR = 3600


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """Where jku and x5u point to: whoever connects waits in its queue."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def was_called(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def theirs(provider: OpenIdProvider, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    sound = {"iss": provider.issuer, "aud": AUDIENCE, "sub": "forger", "roles": ["admin"], "iat": now, "exp": now + 600}
    return {key: value for key, value in {**sound, **changes}.items() if value is not None}


def tampered(token: str, **changes: Any) -> str:
    """The same header and signature over changed claims."""
    head, _, signature = token.split(".")
    return f"{head}.{b64({**OURS, **changes})}.{signature}"


def public_key_forms(provider: OpenIdProvider) -> dict[str, bytes]:
    public = provider.keys["RS256"].public_key()
    return {
        "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "SPKI DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "PKCS#1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "PKCS#1 DER": public.public_bytes(Encoding.DER, PublicFormat.PKCS1),
    }


def attacks(provider: OpenIdProvider, listener: socket.socket) -> dict[str, str]:
    now, kid, rs_kid = int(time.time()), kid_of(JWT_KEYS[0]), provider.kid("RS256")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
    own_rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    stranger = OpenIdProvider.__new__(OpenIdProvider)
    stranger.keys = {"RS256": own_rsa, "ES256": ec.generate_private_key(ec.SECP256R1())}
    stranger._starts = provider._starts
    jwk = RSAAlgorithm.to_jwk(own_rsa.public_key(), as_dict=True)
    sound, sound_rs = hs256(OURS), provider.sign(theirs(provider))
    made = {
        **{f"alg {alg}": unsigned(OURS, alg=alg, kid=kid) for alg in ("none", "None", "nOnE", "NONE", "")},
        **{f"alg {alg} of the provider": unsigned(theirs(provider), alg=alg, kid=rs_kid) for alg in ("none", "nOnE")},
        "alg none with a signature": unsigned(OURS, alg="none", kid=kid) + sound.split(".")[2],
        "alg HS512 of our key": hs256(OURS, alg="HS512"),
        "alg as a list": hs256(OURS, alg=["HS256"]),
        "alg missing": hs256(OURS, alg=None),
        "embedded jwk": stranger.sign(theirs(provider), jwk=jwk),
        "embedded jwk with a kid of its own": stranger.sign(theirs(provider), jwk=jwk, kid="mine"),
        "embedded jwk on ours": hs256(OURS, b"k" * 32, kid="mine", jwk={"kty": "oct", "k": b64(b"k" * 32)}),
        "jku": stranger.sign(theirs(provider), jku=url, kid="mine"),
        "jku with a known kid": stranger.sign(theirs(provider), jku=url),
        "x5u": stranger.sign(theirs(provider), x5u=url, kid="mine"),
        "jku on a sound token": hs256(OURS, jku=url),
        "x5u on a sound token": provider.sign(theirs(provider), x5u=url),
        "crit": hs256(OURS, crit=["exp"]),
        "crit b64": provider.sign(theirs(provider), crit=["b64"], b64=True),
        "typ of another kind": hs256(OURS, typ="logout+jwt"),
        "kid missing": hs256(OURS, kid=None),
        "kid of the provider missing": stranger.sign(theirs(provider), kid=""),
        "kid traversal": hs256(OURS, b"", kid="../../dev/null"),
        "kid traversal, absolute": hs256(OURS, b"\x00", kid="/dev/null"),
        "kid SQL": hs256(OURS, b"x", kid="x' UNION SELECT 'x' --"),
        "kid SQL at the provider": stranger.sign(theirs(provider), kid="' OR 1=1 --"),
        "kid as a number": hs256(OURS, kid=1),
        "kid of another key of the ring": hs256(OURS, JWT_KEYS[1], kid=kid),
        "expired": hs256(claims_of(MESH, exp=now - 60, iat=now - 120, nbf=now - 120)),
        "expired at the provider": provider.sign(theirs(provider, exp=now - 60)),
        "nbf in the future": hs256(claims_of(MESH, nbf=now + FAR)),
        "nbf in the future at the provider": provider.sign(theirs(provider, nbf=now + FAR)),
        "iat in the future": hs256(claims_of(MESH, iat=now + FAR, exp=now + FAR + 60)),
        "no exp": hs256(claims_of(MESH, exp=None)),
        "no exp at the provider": provider.sign(theirs(provider, exp=None)),
        "exp as text": hs256(claims_of(MESH, exp=str(now + FAR))),
        "exp beyond all numbers": hs256(claims_of(MESH, exp=10**400)),
        "lives too long": hs256(claims_of(MESH, exp=now + 25 * FAR)),
        "wrong aud": hs256(claims_of(MESH, aud="aimesh:other")),
        "wrong aud at the provider": provider.token(audience="another-api"),
        "no aud at the provider": provider.sign(theirs(provider, aud=None)),
        "aud as an object": provider.sign(theirs(provider, aud={"x": AUDIENCE})),
        "wrong iss": hs256(claims_of(MESH, iss="aimesh:other")),
        "wrong iss at the provider": provider.sign(theirs(provider, iss=provider.issuer + "/")),
        "no sub": hs256(claims_of(MESH, sub=None)),
        "sub with a line break": hs256(claims_of(MESH, sub="a\r\nX-Mesh-Role: admin")),
        "sub with a line break at the provider": provider.sign(theirs(provider, sub="a\r\nb")),
        "sub as a number at the provider": signed_by(provider, theirs(provider, sub=1)),
        "sub as an object at the provider": signed_by(provider, theirs(provider, sub={"a": 1})),
        "exp not a number at the provider": signed_by(provider, theirs(provider, exp=float("nan"))),
        "exp without end at the provider": signed_by(provider, theirs(provider, exp=float("inf"))),
        "nbf as a list at the provider": signed_by(provider, theirs(provider, nbf=[0])),
        "payload not an object at the provider": signed_by(provider, [1]),
        "payload nested deeply at the provider": signed_by(provider, b"[" * 3000),
        "role service": hs256(claims_of(MESH, role="service")),
        "role verify": hs256(claims_of(MESH, role="verify")),
        "role unknown": hs256(claims_of(MESH, role="king")),
        "signature stripped": ".".join(sound.split(".")[:2]),
        "signature empty": ".".join(sound.split(".")[:2]) + ".",
        "signature stripped at the provider": ".".join(sound_rs.split(".")[:2]),
        "signature empty at the provider": ".".join(sound_rs.split(".")[:2]) + ".",
        "signature of zero": ".".join(sound.split(".")[:2]) + "." + b64(bytes(32)),
        "ES256 r=s=0": es256_zero(provider),
        "ES256 empty DER": es256_zero(provider, b"\x30\x00"),
        "payload tampered": tampered(hs256(claims_of(MESH, role="reader")), role="admin"),
        "payload tampered at the provider": sound_rs.split(".")[0]
        + f".{b64(theirs(provider, sub='boss'))}."
        + sound_rs.split(".")[2],
        "another mesh's key": hs256(OURS, "another-mesh-key-4f5e6d7c8b9a0f1e2d3c4b5a6978"),
        "another mesh's key under our kid": hs256(OURS, "another-mesh-key-4f5e6d7c8b9a0f1e2d3c4b5a6978", kid=kid),
        "another mesh's claims": hs256(claims_of("closed")),
        "HS256 in the provider's name": hs256(theirs(provider)),
        "RS256 in our name": provider.sign(OURS),
        "RS256 key under an ES256 header": relabelled(sound_rs, alg="ES256", kid=rs_kid),
        "oversized": hs256(claims_of(MESH, padding="x" * 9000)),
        "oversized, 60 kB": "a." * 30000,
        "header nested deeply": f"{b64(b'[' * 3000)}.{b64(OURS)}.x",
        "header not JSON": f"{b64(b'not json')}.{b64(OURS)}.x",
        "header not UTF-8": f"{b64(bytes([0xFF, 0xFE]))}.{b64(OURS)}.x",
        "payload nested deeply": signed_raw(b"[" * 3000),
        "payload not JSON": signed_raw(b"nothing"),
        "five parts": f"{sound}.a.b",
        "garbage": "garbage",
        "dots": "..",
        "spaces within": sound.replace(".", " . "),
        "padding": sound + "=",
        "unknown API key": f"aimesh_{'0' * 32}_{'0' * 64}",
        "malformed API key": "aimesh_x' OR 1=1 --_y",
    }
    for form, secret in public_key_forms(provider).items():
        for key_id in (rs_kid, kid):
            made[f"RS256 to HS256 with the public key as {form}, kid {key_id}"] = hs256(
                theirs(provider), secret, kid=key_id
            )
            made[f"the same with our claims, {form}, kid {key_id}"] = hs256(OURS, secret, kid=key_id)
    return made


def es256_zero(provider: OpenIdProvider, signature: bytes = bytes(64)) -> str:
    head = b64({"alg": "ES256", "typ": "JWT", "kid": provider.kid("ES256")})
    return f"{head}.{b64(theirs(provider))}.{b64(signature)}"


def relabelled(token: str, **header: Any) -> str:
    return f"{b64({'typ': 'JWT', **header})}.{'.'.join(token.split('.')[1:])}"


def signed_by(provider: OpenIdProvider, payload: Any) -> str:
    """The provider's own sound signature over any payload."""
    signed = f"{b64({'alg': 'RS256', 'typ': 'JWT', 'kid': provider.kid('RS256')})}.{b64(payload)}"
    return f"{signed}.{b64(provider.keys['RS256'].sign(signed.encode(), PKCS1v15(), SHA256()))}"


def signed_raw(payload: bytes) -> str:
    """A sound signature over a payload that is no claims."""
    return hs256(payload)


@pytest.mark.parametrize("service", SERVICES)
def test_sound_tokens_are_admitted(guarded_mesh: Mesh, provider: OpenIdProvider, service: str) -> None:
    sound = [
        hs256(OURS),
        hs256(OURS, JWT_KEYS[1]),
        hs256(OURS, typ=None),
        signed_by(provider, theirs(provider)),
        *(provider.sign(theirs(provider), alg) for alg in ("RS256", "ES256")),
        *(provider.token(alg=alg) for alg in ("RS256", "ES256")),
    ]
    assert [guarded_mesh.call("GET", service, PATH, token=token).status for token in sound] == [200] * len(sound)


@pytest.mark.parametrize("service", SERVICES)
def test_every_forged_token_is_401(
    guarded_mesh: Mesh, provider: OpenIdProvider, listener: socket.socket, service: str
) -> None:
    tokens = attacks(provider, listener)
    assert len(tokens) > 80
    admitted = {}
    for name, token in tokens.items():
        answer = guarded_mesh.call("GET", service, PATH, token=token)
        if answer.status != 401 or "Bearer" not in answer.headers.get("www-authenticate", ""):
            admitted[name] = (answer.status, answer.text)
    assert admitted == {}
    assert not was_called(listener)
    assert guarded_mesh.call("GET", service, PATH, token=hs256(OURS)).status == 200


def test_the_listener_notices_a_call(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()):
        assert was_called(listener)


def test_no_token_and_no_key_is_in_the_log(guarded_mesh: Mesh) -> None:
    text = "".join(guarded_mesh.log(service).read_text() for service in SERVICES)
    assert "Traceback" not in text
    assert not [key for key in (*JWT_KEYS, b64(OURS)) if key in text]
    assert all(json.loads(line) for line in text.splitlines())
