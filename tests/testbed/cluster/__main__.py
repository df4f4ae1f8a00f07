"""`python -m tests.testbed.cluster programs|up|down|load`: the cluster for shells, as `make kube-lab` brings it up."""

from __future__ import annotations

import argparse
import sys

from ..command import TestbedError
from . import binaries, release_images
from .cluster import Cluster


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed.cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("programs", help="compile what is not compiled yet and print where it is")
    for verb, what in (("up", "bring a cluster up and say how to use it"), ("down", "take it away")):
        verbs.add_parser(verb, help=what).add_argument("run", help="name of the run; everything made carries it")
    load = verbs.add_parser("load", help="give images of the Docker Engine to the workers")
    load.add_argument("run")
    load.add_argument(
        "images", nargs="*", metavar="IMAGE", help="as docker lists it, with its tag; none: those of the newest release"
    )
    arguments = parser.parse_args()
    try:
        _act(arguments)
    except TestbedError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


def _act(arguments: argparse.Namespace) -> None:
    if arguments.verb == "programs":
        for name, path in binaries.ensure(progress=_say).items():
            print(f"{name} {path}")
        return
    cluster = Cluster(arguments.run, progress=_say)
    if arguments.verb == "down":
        cluster.down()
    elif arguments.verb == "load":
        for image in arguments.images or release_images.tags(release_images.newest()):
            print(cluster.load_image(image))
    else:
        _up(cluster)
        print(next_commands(cluster))


def _up(cluster: Cluster) -> None:
    there = cluster.exists()
    try:
        cluster.up()
    except BaseException:
        # What somebody had already is theirs to look at.
        if not there:
            cluster.down()
        raise


def next_commands(cluster: Cluster) -> str:
    return (
        f"\nkubeconfig: {cluster.kubeconfig}\n\nNext:\n"
        f"  export KUBECONFIG={cluster.kubeconfig} PATH={cluster.tools}:$PATH\n"
        "  kubectl get nodes\n"
        "  make kube-lab-images   # the mesh, for nodes without a registry: docs/kubernetes-quickstart.md\n"
        "  make kube-lab-down"
    )


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
