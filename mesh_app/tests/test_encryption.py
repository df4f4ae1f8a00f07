"""Credentials at rest: encrypted under the first key, readable under all, bound to their place, moved by reencrypt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from conftest import MakeMesh
from support.mesh import Answer, Mesh

from mesh.storage.encryption import KeyRing, SealError, key_id_of

OLD, NEW = "first-key-5f1c0d9e8b7a6f5e4d3c2b1a0918", "second-key-a0b1c2d3e4f5968778695a4b3c2d"
SECRET = "the-agents-own-token-0123456789"
PLACE = ("agent_credentials", "1", "secret")


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh) -> Mesh:
    mesh = make_mesh("sealed", auth="on")
    mesh.migrate()
    (mesh.directory / "old").write_text(OLD)
    (mesh.directory / "new").write_text(NEW)
    mesh.start("registry", env=keys(mesh, "old"))
    return mesh


@pytest.fixture
def agent(mesh: Mesh) -> Iterator[str]:
    body = {"name": f"agent-{uuid4()}", "type": "a", "vendor": "b", "model": "c"}
    made: str = mesh.call("POST", "registry", "/api/v1/agents", body, token="admin").json["id"]
    yield made
    mesh.sql("DELETE FROM agent_credentials")


def keys(mesh: Mesh, *names: str) -> dict[str, str]:
    return {"MESH_ENCRYPTION_KEY_FILES": ":".join(str(mesh.directory / name) for name in names)}


def restart(mesh: Mesh, *names: str) -> None:
    mesh.stop("registry")
    mesh.start("registry", env=keys(mesh, *names))


def credential(mesh: Mesh, agent: str, method: str, who: str = "admin", body: object = None) -> Answer:
    path = f"/api/v1/agents/{agent}/credential"
    if method == "reveal":
        method, path = "POST", f"{path}/reveal"
    return mesh.call(method, "registry", path, body, token=who)


def store(mesh: Mesh, agent: str, secret: str = SECRET) -> None:
    assert credential(mesh, agent, "PUT", body={"scheme": "bearer", "secret": secret}).status == 200


def test_a_secret_is_stored_encrypted_and_only_shown_to_who_may_see_it(mesh: Mesh, agent: str) -> None:
    assert credential(mesh, agent, "PUT", "reader", {"scheme": "bearer", "secret": SECRET}).status == 403
    store(mesh, agent)
    shown = credential(mesh, agent, "GET", "reader")
    assert shown.json["key_id"] == key_id_of(OLD)
    assert "secret" not in shown.json
    assert {t: credential(mesh, agent, "reveal", t).status for t in ("reader", "verify", "admin", "service")} == {
        "reader": 403,
        "verify": 403,
        "admin": 200,
        "service": 200,
    }
    revealed = credential(mesh, agent, "reveal", body={"reason": "incident 7"})
    assert (revealed.json["secret"], revealed.headers["cache-control"]) == (SECRET, "no-store")
    stored = mesh.sql("SELECT secret FROM agent_credentials")
    assert stored.startswith(f"v1:{key_id_of(OLD)}:")
    assert SECRET not in stored
    mesh.wait_for_log("registry", "incident 7")
    lines = [json.loads(line) for line in mesh.log("registry").read_text().splitlines()]
    told = [line for line in lines if line["msg"] == "credential revealed"]
    assert (told[-1]["agent"], told[-1]["subject"], told[-1]["reason"]) == (agent, "admin", "incident 7")
    audit = [line for line in lines if line["msg"] == "audit" and line["path"].endswith(f"{agent}/credential/reveal")]
    assert ("admin", 200) in {(line["who"], line["status"]) for line in audit}
    assert SECRET not in mesh.log("registry").read_text()


def test_what_does_not_fit_is_refused_in_one_sentence(mesh: Mesh, agent: str) -> None:
    for body in ({"scheme": "digest", "secret": "x"}, {"scheme": "header", "secret": "x"}, {"scheme": "bearer"}):
        assert credential(mesh, agent, "PUT", body=body).status == 422
    assert credential(mesh, str(uuid4()), "PUT", body={"scheme": "bearer", "secret": "x"}).status == 404
    for method in ("GET", "DELETE", "reveal"):
        assert credential(mesh, agent, method).status == 404


def test_a_removed_agent_keeps_no_credential(mesh: Mesh, agent: str) -> None:
    store(mesh, agent)
    assert credential(mesh, agent, "DELETE").status == 204
    store(mesh, agent)
    assert mesh.call("DELETE", "registry", f"/api/v1/agents/{agent}", token="admin").status == 204
    assert mesh.sql("SELECT count(*) FROM agent_credentials") == "0"


def test_a_ciphertext_that_was_changed_or_moved_is_refused(mesh: Mesh, agent: str) -> None:
    store(mesh, agent)
    body = {"name": f"agent-{uuid4()}", "type": "a", "vendor": "b", "model": "c"}
    other = mesh.call("POST", "registry", "/api/v1/agents", body, token="admin").json["id"]
    store(mesh, other, "another secret")
    mesh.sql(
        f"UPDATE agent_credentials SET secret = (SELECT secret FROM agent_credentials WHERE agent_id = '{agent}') "
        f"WHERE agent_id = '{other}'"
    )
    refused = credential(mesh, other, "reveal")
    assert (refused.status, "changed or moved" in refused.json["detail"]) == (503, True)
    assert credential(mesh, agent, "reveal").status == 200


def test_keys_rotate_with_overlap_and_after_reencrypt_the_old_one_may_go(mesh: Mesh, agent: str) -> None:
    store(mesh, agent)
    try:
        restart(mesh, "new")
        lost = credential(mesh, agent, "reveal")
        assert lost.status == 503
        assert f"the key {key_id_of(OLD)}, which is not in MESH_ENCRYPTION_KEY_FILES" in lost.json["detail"]
        restart(mesh, "new", "old")
        assert credential(mesh, agent, "reveal").json["secret"] == SECRET
        assert move(mesh, "new", "old") == (0, {"moved": 1, "failed": 0}, "")
        assert move(mesh, "new", "old") == (0, {"moved": 0, "failed": 0}, "")
        restart(mesh, "new")
        assert credential(mesh, agent, "reveal").json["secret"] == SECRET
        assert credential(mesh, agent, "GET").json["key_id"] == key_id_of(NEW)
    finally:
        restart(mesh, "old")


def test_reencrypt_goes_on_past_what_it_cannot_open_and_names_it(mesh: Mesh) -> None:
    made = []
    for number in range(7):
        body = {"name": f"agent-{uuid4()}", "type": "a", "vendor": "b", "model": "c"}
        made.append(mesh.call("POST", "registry", "/api/v1/agents", body, token="admin").json["id"])
        store(mesh, made[-1], f"secret {number}")
    mesh.sql(f"UPDATE agent_credentials SET secret = 'v1:{key_id_of(OLD)}:AAAA' WHERE agent_id = '{made[3]}'")
    code, counts, said = move(mesh, "new", "old", batch=2)
    assert (code, counts) == (1, {"moved": 6, "failed": 1})
    assert made[3] in said
    assert len(said.splitlines()) == 1
    mesh.sql("DELETE FROM agent_credentials")


def move(mesh: Mesh, *names: str, batch: int = 500) -> tuple[int, dict[str, int], str]:
    """Exit code, counts and standard error of `mesh admin reencrypt` with these keys."""
    done = mesh.command("admin", "reencrypt", "--json", "--batch", str(batch), env=keys(mesh, *names))
    return done.returncode, {k: v for k, v in json.loads(done.stdout).items() if k != "key_id"}, done.stderr


def test_without_a_key_only_these_calls_are_503_and_say_which_variable(mesh: Mesh, agent: str) -> None:
    try:
        restart(mesh)
        for method in ("GET", "DELETE", "reveal"):
            answer = credential(mesh, agent, method)
            assert (answer.status, "MESH_ENCRYPTION_KEY_FILES" in answer.json["detail"]) == (503, True)
        assert credential(mesh, agent, "PUT", body={"scheme": "bearer", "secret": "x"}).status == 503
        assert mesh.call("GET", "registry", f"/api/v1/agents/{agent}", token="admin").status == 200
    finally:
        restart(mesh, "old")


def test_a_weak_key_stops_the_start(mesh: Mesh, tmp_path: Path) -> None:
    weak = tmp_path / "weak"
    weak.write_text("changeme")
    done = mesh.command("registry", env={"MESH_ENCRYPTION_KEY_FILES": str(weak)})
    assert done.returncode == 78
    assert "MESH_ENCRYPTION_KEY_FILES" in done.stderr


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda sealed: sealed[:-6] + "AAAA==", "changed or moved"),
        (lambda sealed: sealed[:-4] + "!!!!", "changed or moved"),
        (lambda sealed: sealed.rpartition(":")[0] + ":", "changed or moved"),
        (lambda sealed: "v2" + sealed[2:], "not in the form"),
        (lambda _sealed: SECRET, "not in the form"),
        (lambda sealed: sealed.replace(key_id_of(OLD), key_id_of(NEW)), "which is not in"),
    ],
)
def test_nothing_but_the_very_ciphertext_opens(spoil: Callable[[str], str], words: str) -> None:
    ring = KeyRing([OLD])
    sealed = ring.seal(SECRET, PLACE)
    assert ring.open(sealed, PLACE) == SECRET
    with pytest.raises(SealError, match=words) as refused:
        ring.open(spoil(sealed), PLACE)
    assert SECRET not in str(refused.value)
    for place in (("other", "1", "secret"), ("agent_credentials", "2", "secret"), ("agent_credentials", "1", "name")):
        with pytest.raises(SealError, match="changed or moved"):
            ring.open(sealed, place)


def test_two_ciphertexts_of_one_secret_differ() -> None:
    ring = KeyRing([OLD, NEW])
    assert ring.seal(SECRET, PLACE) != ring.seal(SECRET, PLACE)
