"""What every changing module of ours does around its work: host lock, run lease, one sentence per error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.host_lock import HostLockedError, host_lock
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import LeaseLostError, renew_if_holder

COMMON_OPTIONS: dict[str, Any] = {
    "state_dir": {"type": "path", "required": True},
    "run_id": {"type": "str", "default": ""},
    "lease_path": {"type": "path"},
}


class HostChangeError(Exception):
    """The host cannot be brought to its state; the message is one sentence for the operator."""


@contextlib.contextmanager
def changing(module: AnsibleModule, what: str, *, writes: bool = True) -> Iterator[None]:
    """Hold the host lock, and renew the lease, for the work inside; check mode writes nothing and needs neither.

    Expected errors end the module with their message; what an operating-system call refuses is said with its path.
    """
    try:
        if module.check_mode or not writes:
            yield
            return
        with host_lock(module.params["state_dir"], f"{what}, run {module.params['run_id'] or '-'}"):
            if module.params.get("lease_path"):
                renew_if_holder(str(Path(module.params["lease_path"]).parent), module.params["run_id"])
            yield
    except (HostChangeError, HostLockedError, LeaseLostError, StateFileError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        module.fail_json(msg=f"{what} stopped at{where}: {error.strerror or error}.")
