"""Fixtures: servers and two shared meshes once per session, others as a test needs them."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support.binaries import Binaries, find_binaries
from support.forge import JWT_KEYS
from support.mesh import Mesh
from support.oidc import AUDIENCE, OpenIdProvider
from support.servers import PostgreSQL, Redis, as_unprivileged


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder that an unprivileged server may pass through."""
    path = Path(tempfile.mkdtemp(prefix="mesh-app-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def binaries(scratch: Path) -> Binaries:
    return find_binaries(scratch)


def _home(scratch: Path, name: str) -> Path:
    path = scratch / name
    path.mkdir(mode=0o700)
    if as_unprivileged():
        shutil.chown(path, "nobody", "nogroup")
    return path


@pytest.fixture(scope="session")
def postgresql(scratch: Path, binaries: Binaries) -> Iterator[PostgreSQL]:
    server = PostgreSQL(_home(scratch, "postgresql"), binaries)
    server.create()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis(scratch: Path, binaries: Binaries) -> Iterator[Redis]:
    server = Redis(_home(scratch, "redis"), binaries)
    server.create()
    yield server
    server.stop()


MakeMesh = Callable[..., Mesh]


@pytest.fixture(scope="session")
def make_mesh(scratch: Path, postgresql: PostgreSQL, redis: Redis) -> Iterator[MakeMesh]:
    """Makes meshes with databases of their own and stops their processes at the end."""
    made: list[Mesh] = []

    def make(name: str, *, auth: str = "off") -> Mesh:
        made.append(Mesh(name, scratch / name, postgresql, redis, auth=auth))
        return made[-1]

    yield make
    for mesh in made:
        mesh.signal_stop()
    for mesh in made:
        mesh.stop()


@pytest.fixture(scope="session")
def open_mesh(make_mesh: MakeMesh) -> Mesh:
    """All six services with MESH_AUTH off, shared; every test leaves it healthy."""
    return _running(make_mesh("open"))


@pytest.fixture(scope="session")
def closed_mesh(make_mesh: MakeMesh) -> Mesh:
    """All six services with MESH_AUTH on, shared; every test leaves it healthy."""
    return _running(make_mesh("closed", auth="on"))


@pytest.fixture(scope="session")
def provider(scratch: Path) -> Iterator[OpenIdProvider]:
    """A real OpenID provider; a test that stops it or changes its keys uses one of its own."""
    made = OpenIdProvider(scratch / "provider")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def guarded_mesh(make_mesh: MakeMesh, provider: OpenIdProvider) -> Mesh:
    """Gateway, registry and UI that take every kind of credential, shared; the first JWT key signs, both verify."""
    mesh = make_mesh("guarded", auth="on")
    files = [mesh.directory / "jwt_key", mesh.directory / "jwt_key_before"]
    for file, key in zip(files, JWT_KEYS, strict=True):
        file.write_text(key + "\n")
    mesh.extra = {
        "MESH_JWT_KEY_FILES": ":".join(map(str, files)),
        "MESH_OIDC_ISSUER": provider.issuer,
        "MESH_OIDC_AUDIENCE": AUDIENCE,
    }
    mesh.migrate()
    mesh.start("api-gateway", "registry", "ui")
    return mesh


def _running(mesh: Mesh) -> Mesh:
    mesh.migrate()
    mesh.start()
    return mesh
