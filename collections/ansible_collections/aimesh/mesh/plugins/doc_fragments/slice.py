"""Options and attributes that the modules for one slice of a host's state share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  templates:
    description: Folder of the platform role's templates, on the controller.
    type: path
  plan_path:
    description: The plan to read. The default is C(plan.json) in O(build_dir).
    type: path
  build_dir:
    description: Folder with C(plan.json), on the controller. The default is C(build/<mesh_name>) in the repository.
    type: path
  state_dir:
    description: State directory on the host. The action plugin takes it from the plan.
    type: path
  run_id:
    description: The run that makes the call. The action plugin fills it in.
    type: str
    default: ""
  lease_path:
    description: The run lease, on the state host only. The action plugin fills it in.
    type: path
attributes:
  check_mode:
    description: Predicts what a run would do and changes nothing, on a bare host too.
    support: full
  diff_mode:
    description: Shows what differs; content with secrets is replaced by a note.
    support: full
  platform:
    description: Operating systems of the hosts.
    support: full
    platforms: Debian
"""
