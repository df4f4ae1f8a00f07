#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql
short_description: Make, run and tune the mesh's PostgreSQL cluster, with its logins and database
description:
  - Makes the cluster (data checksums, UTF8, C(C.UTF-8)), writes its settings and access rules, starts it, and reloads
    or restarts it exactly when a setting needs that. Then brings roles, passwords, the database, its schema and
    extensions to what the plan wants. All in one call.
  - The cluster's own user comes in over the socket only; the mesh's logins come in over TCP with SCRAM from the planned
    ranges only.
  - A password is compared with what the server has stored and sent as a SCRAM verifier only when it differs; no
    password is part of a statement, a log or a result.
  - Where the plan has backups, their timers run, every repository has its stanza and a first full backup, and the
    store's secrets lie sealed on the host. An empty data directory beside a repository with backups is refused.
  - Kept data without a configuration is adopted. Data of another PostgreSQL version, or that is not the mesh's, is
    refused. A making that was interrupted is done again.
version_added: 1.0.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
options:
  cluster:
    description: The cluster as the plan wants it. Filled in by the action plugin.
    type: dict
    suboptions:
      manager:
        description: C(debian) is pg_createcluster and systemd, C(embedded) is initdb and supervisord,
          C(container) is initdb and Docker Compose.
        type: str
        required: true
        choices: [debian, embedded, container]
      version:
        description: Major version.
        type: str
        required: true
      name:
        description: Name of the cluster.
        type: str
        required: true
      port:
        description: TCP port, which names the socket too.
        type: int
        required: true
      data_dir:
        description: Data directory.
        type: path
        required: true
      bin_dir:
        description: Folder of the server's programs.
        type: path
        required: true
      run_as:
        description: Operating-system user that owns the cluster; its superuser has the same name.
        type: str
        required: true
      socket_dir:
        description: Folder of the unix socket.
        type: path
        required: true
      listen:
        description: Addresses to listen on.
        type: list
        elements: str
        required: true
      allow:
        description: CIDR ranges that may connect over TCP.
        type: list
        elements: str
        required: true
      settings:
        description: Server settings by name.
        type: dict
        required: true
      database:
        description: Name of the database.
        type: str
        required: true
      owner:
        description: Owner of the database and its schema, with C(name) and C(password).
        type: dict
        required: true
        suboptions: &login
          name:
            description: Name of the role.
            type: str
            required: true
          password:
            description: Its password.
            type: str
          member_of:
            description: Roles whose rights it has.
            type: list
            elements: str
            default: []
      logins:
        description: Further roles that log in.
        type: list
        elements: dict
        default: []
        suboptions: *login
      extensions:
        description: Extensions of the database.
        type: list
        elements: str
        default: []
      unit:
        description: Program that runs the cluster, with C(embedded).
        type: str
        default: ""
      supervisor:
        description: Socket of the supervisord that runs it, with C(embedded).
        type: str
        default: ""
      container:
        description: How Docker Compose runs it, with C(container).
        type: dict
        suboptions:
          project: {description: Name of the Compose project., type: str, required: true}
          folder: {description: Folder of the project., type: path, required: true}
          service: {description: Service in the project., type: str, required: true}
          files: {description: Compose files that define it., type: list, elements: str, required: true}
  backup:
    description: What is done for backups once the cluster is as planned. Filled in by the action plugin.
    type: dict
    suboptions:
      program:
        description: The backup program of the host.
        type: path
        required: true
      archives:
        description: Whether the write-ahead log is archived.
        type: bool
        required: true
      timers:
        description: Timers of systemd that have to run.
        type: list
        elements: str
        default: []
      repository:
        description: Folder of the local repository.
        type: str
        default: ""
      remote:
        description: Whether there are repositories that are not on this host.
        type: bool
        default: false
      escrow:
        description: Folder of the sealed archive of all secrets.
        type: path
        required: true
      begin_empty:
        description: Begin with an empty database although the repository has backups.
        type: bool
        default: false
      escrow_digest:
        description: Tells the secrets that are sealed; empty in check mode.
        type: str
        default: ""
      escrow_content:
        description: The sealed archive, in base64.
        type: str
        default: ""
"""

EXAMPLES = r"""
- name: PostgreSQL serves the mesh's database
  aimesh.mesh.postgresql:
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: ["cluster: made", "cluster: started", "role mesh: made", "database mesh_registry: made"]
restarted:
  description: Whether a running server was restarted, or would be.
  returned: success
  type: bool
  sample: false
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.cluster_backup import backup_of
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_convergence import Convergence, Report
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError, cluster_of
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, changing

LOGIN = {
    "name": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
    "member_of": {"type": "list", "elements": "str", "default": []},
}
CLUSTER = {
    "manager": {"type": "str", "required": True, "choices": ["debian", "embedded", "container"]},
    "version": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "data_dir": {"type": "path", "required": True},
    "bin_dir": {"type": "path", "required": True},
    "run_as": {"type": "str", "required": True},
    "socket_dir": {"type": "path", "required": True},
    "listen": {"type": "list", "elements": "str", "required": True},
    "allow": {"type": "list", "elements": "str", "required": True},
    "settings": {"type": "dict", "required": True},
    "database": {"type": "str", "required": True},
    "owner": {"type": "dict", "required": True, "options": LOGIN},
    "logins": {"type": "list", "elements": "dict", "default": [], "options": LOGIN},
    "extensions": {"type": "list", "elements": "str", "default": []},
    "unit": {"type": "str", "default": ""},
    "supervisor": {"type": "str", "default": ""},
    "container": {
        "type": "dict",
        "options": {
            "project": {"type": "str", "required": True},
            "folder": {"type": "path", "required": True},
            "service": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "str", "required": True},
        },
    },
}
BACKUP = {
    "program": {"type": "path", "required": True},
    "archives": {"type": "bool", "required": True},
    "timers": {"type": "list", "elements": "str", "default": []},
    "repository": {"type": "str", "default": ""},
    "remote": {"type": "bool", "default": False},
    "escrow": {"type": "path", "required": True},
    "begin_empty": {"type": "bool", "default": False},
    "escrow_digest": {"type": "str", "default": ""},
    "escrow_content": {"type": "str", "default": "", "no_log": True},
}


def diffs(report: Report) -> list[dict[str, str]]:
    """One diff per file, and the actions that are not about a file as another."""
    found = [
        {"before_header": diff.path, "after_header": diff.path, "before": diff.before, "after": diff.after}
        for diff in report.files
    ]
    others = [action for action in report.actions if not action.startswith("file ")]
    if others:
        text = "".join(f"{action}\n" for action in others)
        found.append({"before_header": "cluster", "after_header": "cluster", "before": "", "after": text})
    return found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "cluster": {"type": "dict", "required": True, "options": CLUSTER},
            "backup": {"type": "dict", "options": BACKUP},
        },
        supports_check_mode=True,
    )
    try:
        with changing(module, "postgresql"):
            cluster = cluster_of(module.params["cluster"])
            backup = backup_of(module.params["backup"])
            report = Convergence(cluster, module.params["state_dir"], module.check_mode, backup).run()
    except PostgresError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=report.changed, actions=report.actions, restarted=report.restarted, diff=diffs(report))


if __name__ == "__main__":
    main()
