"""The programs of the cluster are kept by what they are made of, and a machine without Go is told what to install."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.testbed import TestbedError, go_compiler
from tests.testbed.cluster import binaries
from tests.testbed.cluster.binaries import PROGRAMS

KUBELET = PROGRAMS["kubelet"]
PUBLISHED = """\
module k8s.io/kubernetes

go 1.25.0

require k8s.io/api v0.0.0

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/client-go => ./staging/src/k8s.io/client-go
	example.com/fork => example.com/other v1.0.0
)
"""


def test_another_version_is_another_place() -> None:
    newer = dataclasses.replace(KUBELET, version="v1.35.5")
    assert newer.path != KUBELET.path
    assert KUBELET.key.startswith("kubelet-v1.35.4-")


def test_another_way_to_compile_is_another_place() -> None:
    assert dataclasses.replace(KUBELET, module="").key != KUBELET.key


def test_the_same_program_is_always_in_the_same_place() -> None:
    assert dataclasses.replace(KUBELET).path == KUBELET.path


def test_the_environment_names_a_cache_that_several_checkouts_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(binaries.FOLDER_VARIABLE, "/srv/programs")
    assert KUBELET.path == Path("/srv/programs") / KUBELET.key / "kubelet"


def test_kubernetes_knows_its_own_version() -> None:
    assert "-X k8s.io/component-base/version.gitVersion=v1.35.4" in KUBELET.flags
    assert "version.gitMinor=35 " in KUBELET.flags
    assert "gitVersion" not in PROGRAMS["helm"].flags


def test_staging_modules_come_from_their_releases_and_nothing_else_is_replaced() -> None:
    lines = binaries.go_mod(KUBELET, PUBLISHED).splitlines()
    assert "require k8s.io/kubernetes v1.35.4" in lines
    assert "go 1.25.0" in lines
    assert [line for line in lines if line.startswith("replace")] == [
        "replace k8s.io/api => k8s.io/api v0.35.4",
        "replace k8s.io/client-go => k8s.io/client-go v0.35.4",
    ]


def test_what_is_there_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(binaries.FOLDER_VARIABLE, str(tmp_path))
    KUBELET.path.parent.mkdir()
    KUBELET.path.touch()
    monkeypatch.setattr(binaries, "_compile", lambda *_: pytest.fail("compiled again"))
    assert binaries.ensure(["kubelet"]) == {"kubelet": KUBELET.path}
    assert binaries.missing(["kubelet", "helm"]) == [PROGRAMS["helm"]]


def test_without_go_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(go_compiler, "_version", lambda _: (1, 19))
    monkeypatch.setattr(go_compiler, "FOLDER", tmp_path / "go")
    monkeypatch.setattr(go_compiler, "PACKAGE", "/no/such/package.whl")
    with pytest.raises(TestbedError, match=r"Go 1\.25 or newer is not on this machine.* install Go from") as found:
        go_compiler.find()
    assert "\n" not in str(found.value)


def test_a_module_that_cannot_be_had_is_one_sentence(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho first >&2; echo 'no such module' >&2; exit 1\n")
    go.chmod(0o755)
    with pytest.raises(TestbedError, match=r"^The cluster needs helm, which could not be had: no such module$"):
        go_compiler.call(str(go), "install", purpose="The cluster", what="helm")
