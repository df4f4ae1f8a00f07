"""What a node leaves in the machine's tree of control groups is found and taken away, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.testbed import cgroups


def tree(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)


def test_the_directories_of_a_node_are_found_in_every_hierarchy(tmp_path: Path) -> None:
    tree(tmp_path, "cpu/kubelet-aimesh-lab-worker1/kubepods", "memory/kubelet-aimesh-lab-worker1", "cpu/docker/other")
    (tmp_path / "cpuacct").symlink_to("cpu")
    found = cgroups.of_kubelet("kubelet-aimesh-lab-worker1", tmp_path)
    assert tmp_path / "cpu/kubelet-aimesh-lab-worker1" in found
    assert tmp_path / "memory/kubelet-aimesh-lab-worker1" in found


def test_they_are_found_in_the_only_hierarchy_of_version_2(tmp_path: Path) -> None:
    tree(tmp_path, "kubelet-aimesh-lab-worker1/kubepods")
    assert cgroups.of_kubelet("kubelet-aimesh-lab-worker1", tmp_path) == [tmp_path / "kubelet-aimesh-lab-worker1"]


def test_those_of_another_run_are_not(tmp_path: Path) -> None:
    tree(tmp_path, "cpu/kubelet-aimesh-lab-worker10", "cpu/kubelet-aimesh-other-worker1")
    assert cgroups.of_kubelet("kubelet-aimesh-lab-worker1", tmp_path) == []


def test_they_are_removed_from_the_leaves_up(tmp_path: Path) -> None:
    tree(tmp_path, "cpu/kubelet-a/kubepods/burstable/pod1", "cpu/kubelet-a/system")
    assert cgroups.remove([tmp_path / "cpu/kubelet-a"]) == []
    assert list(tmp_path.glob("cpu/*")) == []


def test_one_that_is_in_use_is_kept_and_told(tmp_path: Path) -> None:
    tree(tmp_path, "cpu/kubelet-a/kubepods/pod1")
    (tmp_path / "cpu/kubelet-a/kubepods/busy").touch()
    assert cgroups.remove([tmp_path / "cpu/kubelet-a"]) == [tmp_path / "cpu/kubelet-a"]
