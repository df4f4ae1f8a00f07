"""A removal takes the mesh's own containers, networks and images out of a Docker Engine, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import removal_docker
from ansible_collections.aimesh.mesh.plugins.module_utils.image_record import OurImage, write_images
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_plan import Confirmed, Found, decide

OURS, OTHERS = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
CLIENT = """\
#!/usr/bin/env python3
import json, sys
from pathlib import Path
folder = Path(__file__).parent
arguments = sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
answers = json.loads((folder / "answers.json").read_text())
mine = "mine" if any("label=" in each for each in arguments) else "all"
print(answers.get(" ".join(arguments[:2]), {}).get(mine, ""))
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A client in place of docker that writes down how it is called and answers from a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(CLIENT)
    (folder / "docker").chmod(0o755)
    (tmp_path / "state").mkdir()
    answer(folder, foreign=True)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def answer(folder: Path, *, foreign: bool) -> None:
    image = f'"{OURS}" 5000 ["aimesh/redis:8.0-a","copy:1"] []'
    answers: dict[str, Any] = {
        "container ls": {"mine": "aimesh-redis\naimesh-haproxy", "all": "aimesh-redis\naimesh-haproxy"},
        "network ls": {"mine": "aimesh-mesh\naimesh-edge"},
        "image ls": {"all": OURS},
        "image inspect": {"all": image},
    }
    if foreign:
        answers["container ls"]["all"] += "\nshop-web"
        answers["image ls"]["all"] += f"\n{OTHERS}"
        answers["volume ls"] = {"all": "shop-data"}
    (folder / "answers.json").write_text(json.dumps(answers))


def record(tmp_path: Path, *images: OurImage) -> str:
    state = str(tmp_path / "state")
    write_images(state, images)
    return state


def calls(engine: Path) -> list[list[str]]:
    return [json.loads(line) for line in (engine / "calls").read_text().splitlines()]


def test_only_what_carries_the_project_or_our_record_is_ours(engine: Path, tmp_path: Path) -> None:
    state = record(tmp_path, OurImage("1.0.0+0123abcd", "aimesh/redis:8.0-a", OURS))
    found = removal_docker.look("aimesh", state)
    assert found.containers == ["aimesh-haproxy", "aimesh-redis"]
    assert found.networks == ["aimesh-edge", "aimesh-mesh"]
    assert found.images == {"aimesh/redis:8.0-a": 5000}
    assert found.others == "1 containers, 1 images, 1 volumes"


def test_an_image_that_was_named_anew_is_not_ours(engine: Path, tmp_path: Path) -> None:
    state = record(tmp_path, OurImage("1.0.0+0123abcd", "aimesh/redis:8.0-a", OTHERS))
    assert removal_docker.look("aimesh", state).images == {}


def test_an_engine_with_nothing_of_others_is_nobody_else_s(engine: Path, tmp_path: Path) -> None:
    answer(engine, foreign=False)
    state = record(tmp_path, OurImage("1.0.0+0123abcd", "aimesh/redis:8.0-a", OURS))
    assert removal_docker.look("aimesh", state).others == ""


def test_what_goes_is_named_one_by_one_and_nothing_is_pruned_or_forced(engine: Path, tmp_path: Path) -> None:
    state = record(tmp_path, OurImage("1.0.0+0123abcd", "aimesh/redis:8.0-a", OURS))
    removal_docker.remove(["aimesh-redis"], ["aimesh-mesh"], ["aimesh/redis:8.0-a"], state)
    assert calls(engine) == [
        ["container", "stop", "aimesh-redis"],
        ["container", "rm", "--volumes", "aimesh-redis"],
        ["network", "rm", "aimesh-mesh"],
        ["image", "rm", "aimesh/redis:8.0-a"],
    ]
    assert not (tmp_path / "state/images.json").exists()


def test_a_mesh_that_runs_in_no_containers_asks_no_engine(engine: Path, tmp_path: Path) -> None:
    assert removal_docker.look("", str(tmp_path / "state")) == removal_docker.FoundInDocker()
    removal_docker.remove([], [], [], str(tmp_path / "state"))
    assert not (engine / "calls").exists()


def test_containers_networks_and_images_go_without_confirmation_and_data_stays() -> None:
    found = Found(
        containers=["aimesh-redis"],
        networks=["aimesh-mesh"],
        images={"aimesh/redis:8.0-a": 5000},
        data={"/var/lib/aimesh/redis": 5},
        installed=["docker.io"],
        packages_stay="the Docker Engine has 1 containers that are not the mesh's",
    )
    removal = decide(found, Confirmed(), "acme")
    assert removal.names("container", "network", "image") == ["aimesh-redis", "aimesh-mesh", "aimesh/redis:8.0-a"]
    assert {item.kind for item in removal.kept} == {"data", "package"}
