#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: judge
short_description: Judge the running mesh by what its hosts answered, and write the report
description:
  - Runs every check of the harness in C(tests/verification) against the answers that M(aimesh.mesh.observe) has
    brought. A check that needs to see something that no host was asked yet leaves a question; the task then returns
    C(unanswered=true) and is to be run again after the next round of M(aimesh.mesh.observe).
  - When no check asks anything more, or after four rounds, it writes C(report.json), C(report.xml) and C(report.html)
    into C(build/<mesh_name>/), shows one table, and fails unless everything that was planned passed or is not
    applicable. What AWX shows of it is set as the statistic C(mesh_verification).
  - Runs on the controller only, so it is used with C(run_once). Questions with the vantage C(edge) are answered there.
version_added: 1.0.0
author:
  - aimesh (@aimesh)
options:
  folder:
    description: Folder of the verification run, as the first call returned it. Without it a new run begins.
    type: path
  build_dir:
    description: Folder that holds the plan and takes the report. The default is C(build/<mesh_name>) in the repository.
    type: path
attributes:
  check_mode:
    description: In check mode nothing was deployed, so nothing is judged and the task is skipped.
    support: partial
  diff_mode:
    description: Nothing is changed, so there is nothing to show.
    support: N/A
  action:
    description: All of it is an action plugin; there is no remote half.
    support: full
notes:
  - C(AIMESH_VERIFY_RUN_ID) and C(AIMESH_VERIFY_ONLY) in the environment set the id of the run and limit it to some
    areas, separated by commas; C(bin/mesh-verify) sets both.
seealso:
  - module: aimesh.mesh.observe
"""

EXAMPLES = r"""
- name: Checks say what they need to see
  aimesh.mesh.judge:
  run_once: true
  register: _verification

- name: Host answers
  aimesh.mesh.observe:
    folder: "{{ _verification.folder }}"

- name: Checks look at the answers
  aimesh.mesh.judge:
    folder: "{{ _verification.folder }}"
  run_once: true
  register: _verification
"""

RETURN = r"""
folder:
  description: Folder of the verification run.
  returned: while something is unanswered
  type: str
  sample: build/acme/verify/20260102t030405z-0a1b2c
unanswered:
  description: Whether checks asked something that the hosts have not answered yet.
  returned: always
  type: bool
  sample: false
round:
  description: How often the checks have looked so far.
  returned: while something is unanswered
  type: int
  sample: 1
report:
  description: Path of the report as a page; C(.json) and C(.xml) lie beside it.
  returned: at the end
  type: str
  sample: build/acme/report.html
exit_code:
  description: 0 when all is well, 1 when a check failed, 2 when none failed and some could not be made.
  returned: at the end
  type: int
  sample: 0
"""
