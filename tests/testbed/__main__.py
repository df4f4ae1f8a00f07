"""`python -m tests.testbed up|down|needs|base|images`: the testbed for playbooks and shells."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import daemon
from .bed import Testbed
from .command import TestbedError
from .image import BASES, COMPOSE_HOST, IMAGES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="make VMs and print their inventory as JSON")
    up.add_argument("run", help="name of the run; everything made carries it")
    up.add_argument("vms", nargs="+", metavar="NAME=OS", help="a VM, as vm1=debian-13 or vm1=compose")
    up.add_argument("--inventory", type=Path, help="also write an inventory file with the VMs in group mesh")
    down = verbs.add_parser("down", help="take away everything of a run")
    down.add_argument("run")
    verbs.add_parser("needs", help="print the Debian packages that are missing on this machine")
    base = verbs.add_parser("base", help="print the image to give `make images BASE=…`, built when it is not there")
    base.add_argument("os", nargs="?", default="debian-13", choices=sorted(BASES))
    images = verbs.add_parser("images", help="build images that are not built yet")
    images.add_argument("os", nargs="*", default=[], metavar="OS")
    arguments = parser.parse_args()
    try:
        return _act(arguments)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1


def _act(arguments: argparse.Namespace) -> int:
    if arguments.verb == "needs":
        print("\n".join(daemon.missing_packages()))
    elif arguments.verb == "down":
        Testbed(arguments.run).down()
    elif arguments.verb == "base":
        print(BASES[arguments.os].ensure())
    elif arguments.verb == "images":
        known = {**IMAGES, "compose": COMPOSE_HOST}
        for name in arguments.os or known:
            print(known[name].ensure())
    else:
        bed = Testbed(arguments.run)
        try:
            bed.up()
            for word in arguments.vms:
                name, _, os = word.partition("=")
                if os == "compose":
                    bed.start_compose_host(name)
                else:
                    bed.start(name, os or "debian-13")
        except BaseException:
            bed.down()
            raise
        if arguments.inventory:
            bed.write_inventory(arguments.inventory)
        print(json.dumps({name: made.variables() for name, made in bed.vms.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
