"""The programs of the cluster, compiled once from their Go modules and kept by what they are made of.

Debian packages none of them, and no release is downloaded: what runs is what the module proxy has under that version.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .. import go_compiler
from ..paths import REPOSITORY

KUBERNETES = "v1.35.4"
"""The last line that takes Debian 13's containerd 1.7 and, with a setting, control groups of version 1."""

FOLDER_VARIABLE = "AIMESH_CLUSTER_PROGRAMS"
"""Environment variable that names a folder for the programs, so that several checkouts compile once."""

PURPOSE = "The Kubernetes cluster of the tests"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """`package` is what is compiled; `module` is set where `go install` refuses because the module replaces others."""

    name: str
    package: str
    version: str
    module: str = ""

    @property
    def flags(self) -> str:
        """Flags of the linker. Kubernetes compares versions between its parts, so it must know its own."""
        if self.module != "k8s.io/kubernetes":
            return "-s -w"
        major, minor = self.version.removeprefix("v").split(".")[:2]
        told = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{key}={text}" for key, text in told.items())])

    @property
    def key(self) -> str:
        """Name of the program's folder in the cache: another version or another way to compile is another one."""
        recipe = "\0".join((self.package, self.version, self.module, self.flags))
        return f"{self.name}-{self.version}-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"

    @property
    def path(self) -> Path:
        return cache() / self.key / self.name


def _kubernetes(name: str) -> Program:
    return Program(name, f"k8s.io/kubernetes/cmd/{name}", KUBERNETES, "k8s.io/kubernetes")


# In the order in which somebody who waits can use them.
PROGRAMS = {
    program.name: program
    for program in (
        Program("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0"),
        Program("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0"),
        _kubernetes("kubectl"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        Program("coredns", "github.com/coredns/coredns", "v1.12.4"),
        Program("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", "v0.8.0"),
        Program("local-path-provisioner", "github.com/rancher/local-path-provisioner", "v0.0.30"),
    )
}

HELM_4 = Program("helm", "helm.sh/helm/v4/cmd/helm", "v4.3.2")
"""The other line of Helm, compiled when a test asks for it."""


def cache() -> Path:
    """The folder of all programs, of the checkout unless the environment names another."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else REPOSITORY / ".cache" / "cluster" / "programs"


def missing(names: Iterable[str] = PROGRAMS) -> list[Program]:
    return [PROGRAMS[name] for name in names if not PROGRAMS[name].path.exists()]


def ensure(names: Iterable[str] = PROGRAMS, progress: Progress = print) -> dict[str, Path]:
    """Paths of the programs, compiled when they are not there (about ten minutes for all). Raises TestbedError."""
    wanted = list(names)
    for program in missing(wanted):
        ensure_one(program, progress)
    return {name: PROGRAMS[name].path for name in wanted}


def ensure_one(program: Program, progress: Progress = print) -> Path:
    """Path of the program, compiled when it is not there. Raises TestbedError."""
    if program.path.exists():
        return program.path
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may have compiled it while this one waited.
        if not program.path.exists():
            started = time.monotonic()
            _compile(go_compiler.find(), program)
            progress(f"compiled {program.name} {program.version} in {time.monotonic() - started:.0f} s")
    return program.path


def _compile(go: str, program: Program) -> None:
    with tempfile.TemporaryDirectory(prefix="compile-", dir=cache()) as name:
        folder, out = Path(name), Path(name) / program.key
        out.mkdir()
        options = ["-trimpath", "-ldflags", program.flags]
        what = f"{program.package}@{program.version}"
        if program.module:
            (folder / "go.mod").write_text(_go_mod(go, program))
            words = ["build", "-mod=mod", *options, "-o", str(out), program.package]
        else:
            words = ["install", *options, what]
        go_compiler.call(go, *words, purpose=PURPOSE, what=what, folder=folder, settings={"GOBIN": str(out)})
        # Appears whole or not at all, so its presence means that it is complete.
        out.rename(program.path.parent)


def _go_mod(go: str, program: Program) -> str:
    what = f"{program.module}@{program.version}"
    told = json.loads(go_compiler.call(go, "mod", "download", "-json", what, purpose=PURPOSE, what=what))
    return go_mod(program, Path(told["GoMod"]).read_text())


def go_mod(program: Program, published: str) -> str:
    """A go.mod that requires the program's module.

    `published` is the go.mod of that module. It takes its staging modules from its own tree, which only the main
    module may; their releases of the same minor and patch have the same content.
    """
    staged = sorted(set(re.findall(r"^\s*(?:replace )?(\S+) => \./staging/", published, re.MULTILINE)))
    version = re.sub(r"^v1\.", "v0.", program.version)
    language = re.search(r"^go (\S+)$", published, re.MULTILINE)
    lines = ["module aimesh.invalid/cluster", "", f"go {language.group(1) if language else '1.25'}", ""]
    lines += [f"require {program.module} {program.version}", ""]
    lines += [f"replace {module} => {module} {version}" for module in staged]
    return "\n".join(lines) + "\n"
