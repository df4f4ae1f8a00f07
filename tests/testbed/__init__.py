"""Real hosts to test on: systemd containers that behave as virtual machines.

`Testbed` makes a network and VMs of one run and takes them away again; `python -m tests.testbed` is the same for
shells and playbooks. The tests and molecule use nothing else.
"""

from __future__ import annotations

from .bed import Testbed
from .command import TestbedError
from .image import BASES, IMAGES, Image
from .vm import Vm

__all__ = ["BASES", "IMAGES", "Image", "Testbed", "TestbedError", "Vm"]
