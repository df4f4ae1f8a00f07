"""What the action plugins that bring one slice of HostState to a host share.

A subclass names its module, reads what it needs from a `Slice` and returns the module's arguments; None means that this
host has nothing of the kind, and costs no remote call. Every expected error becomes one sentence in `msg`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import lease_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File, HostState
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, PlanError, is_state_host, load_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.run_plan import plan_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import (
    RenderedFile,
    RenderError,
    missing_secrets,
    render_files,
    secrets_of,
    unit_fingerprint,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.repository import repository_root
from ansible_collections.aimesh.mesh.plugins.plugin_utils.run_identity import run_identity
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import SecretStoreError, resolve_secrets

DRIVERS = "ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers"


class SliceError(Exception):
    """The slice cannot be brought to the host; the message is one sentence for the operator."""


def driver_of(plan: Plan) -> Any:
    """The driver of the plan's platform, a module. Raises SliceError."""
    platform = plan["mesh"]["platform"]
    try:
        return importlib.import_module(f"{DRIVERS}.{platform}")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.endswith(f"drivers.{platform}"):
            raise
        raise SliceError(f"There is no driver for the platform {platform}; change mesh_platform.") from None


def driver_state(plan: Plan, host: str) -> HostState:
    """The driver of the plan's platform renders the host. Raises SliceError."""
    platform = plan["mesh"]["platform"]
    if host not in plan["hosts"]:
        raise SliceError(
            f"The plan has no host {host}, it has {', '.join(plan['hosts'])}; "
            "put the host into the group mesh of the inventory, or leave it out of the play."
        )
    driver = driver_of(plan)
    try:
        state: HostState = driver.render(plan, host)
    except (LookupError, TypeError, AttributeError) as error:
        raise SliceError(
            f"The driver {platform} cannot render {host} from the plan: {type(error).__name__} {error}; "
            "plan and driver are of different releases, or this is a defect."
        ) from None
    return state


@dataclass
class Slice:
    """One host's part of the plan, as the driver renders it, and the way to its files' content and secrets."""

    plan: Plan
    host: str
    templates: Path | None
    repository: Path
    check_mode: bool
    resolve: Any
    """Callable: names of secrets → {name: value}."""
    _values: dict[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def state(self) -> HostState:
        return driver_state(self.plan, self.host)

    @property
    def state_dir(self) -> str:
        return str(self.plan["mesh"]["paths"]["state"])

    @property
    def is_state_host(self) -> bool:
        return is_state_host(self.plan, self.host)

    def secret_values(self, names: Iterable[str]) -> dict[str, str]:
        """The values of the named secrets, each resolved once.

        In check mode a secret that does not exist yet is left out; otherwise that raises SliceError.
        """
        wanted = list(names)
        missing = missing_secrets(self.plan, wanted)
        if missing and not self.check_mode:
            raise SliceError(
                f"The secret store has no {', '.join(missing)}; run the aimesh.mesh.secrets task before the plan."
            )
        unresolved = [name for name in wanted if name not in missing and name not in self._values]
        if unresolved:
            self._values.update(self.resolve(unresolved))
        return {name: self._values[name] for name in wanted if name not in missing}

    def rendered(self, files: Iterable[File]) -> list[RenderedFile]:
        """Files with content; only the secrets they name are resolved."""
        listed = list(files)
        return render_files(listed, self.plan, self.host, self.templates, self.secret_values(secrets_of(listed)))

    def identities(self) -> dict[str, str]:
        """Path → identity of every file of the host, without resolving any secret."""
        listed = [*self.state.package_files, *self.state.files]
        return {file.path: file.identity for file in render_files(listed, self.plan, self.host, self.templates, None)}

    def unit_fingerprints(self) -> dict[str, str]:
        """Unit name → fingerprint of what it is to load."""
        identities = self.identities()
        return {unit.name: unit_fingerprint(unit, identities) for unit in self.state.units}

    def common_args(self) -> dict[str, Any]:
        """`state_dir, run_id, lease_path` (lease_path only on the state host), as every module of ours takes them."""
        args: dict[str, Any] = {"state_dir": self.state_dir, "run_id": run_identity().run_id}
        if self.is_state_host:
            args["lease_path"] = lease_path(self.plan["mesh"]["state_home"]["path"])
        return args


class SliceAction(ActionBase):
    """Task arguments of every subclass: `templates`, and `plan_path` or `build_dir` where the default is not meant.

    The default is the run's own plan in `build/<mesh_name>` of the repository that holds the playbook.
    """

    TRANSFERS_FILES = False
    COMMON_OPTIONS: ClassVar[frozenset[str]] = frozenset({"templates", "plan_path", "build_dir"})
    module: ClassVar[str] = ""
    """Name of the target half, as `aimesh.mesh.files`."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Task arguments of the subclass besides the common ones."""

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        """The module's own arguments for this host, or None when it has nothing of the kind."""
        raise NotImplementedError

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        """The remote half: one module call unless the subclass says otherwise."""
        return self.call(part.common_args() | args)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        self.remote_calls = 0
        try:
            self._refuse_unknown_options()
            part = self.slice()
            args = self.module_args(part)
            if args is None:
                result |= {"changed": False, "skipped": True, "skip_reason": "The plan has nothing of this kind here."}
            else:
                result |= self.perform(part, args)
        except (SliceError, PlanError, RenderError, SecretStoreError) as error:
            result |= {"failed": True, "changed": False, "msg": str(error)}
        result["remote_calls"] = self.remote_calls
        return result

    def call(self, args: Mapping[str, Any], module: str = "") -> dict[str, Any]:
        """One remote module call, of the plugin's own target half unless another is named."""
        self.remote_calls += 1
        result: dict[str, Any] = self._execute_module(
            module_name=module or self.module, module_args=dict(args), task_vars=self._task_vars
        )
        return result

    def send_file(self, path: Path) -> str:
        """Put a file into Ansible's temporary folder on the host, which goes when the task ends; its path there."""
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        remote: str = self._connection._shell.join_path(folder, path.name)
        self._transfer_file(str(path), remote)
        self._fixup_perms2((folder, remote))
        self.remote_calls += 2
        return remote

    def slice(self) -> Slice:
        """This host's slice of the plan that the run has written. Raises PlanError, SliceError."""
        repository = repository_root(self._task_vars.get("playbook_dir", "."))
        plan = load_plan(self._plan_path(repository))
        templates = self._task.args.get("templates")
        return Slice(
            plan=plan,
            # A delegated task is about the host that it goes to.
            host=str(self._task.delegate_to or self._task_vars["inventory_hostname"]),
            templates=Path(str(templates)) if templates else None,
            repository=repository,
            check_mode=bool(self._task.check_mode),
            resolve=lambda names: self._secret_values(plan, names),
        )

    def _refuse_unknown_options(self) -> None:
        known = self.COMMON_OPTIONS | self.options
        unknown = sorted(set(self._task.args) - known)
        if unknown:
            raise SliceError(f"Unknown option {', '.join(unknown)}; this task takes {', '.join(sorted(known))}.")

    def _plan_path(self, repository: Path) -> Path:
        given = self._task.args.get("plan_path")
        if given:
            return Path(str(given))
        build_dir = self._task.args.get("build_dir")
        if build_dir:
            return plan_file(Path(str(build_dir)))
        name = self._variable("mesh_name")
        if not name:
            raise SliceError("The variable mesh_name is not set, so there is no plan to read; set it in the inventory.")
        return plan_file(repository / "build" / name)

    def _variable(self, name: str) -> str:
        """A variable of the host as text, templated; empty when it is not set."""
        try:
            return str(self._templar.template(self._task_vars.get(name, "")))
        except AnsibleError as error:
            raise SliceError(f"The variable {name} cannot be read: {error}") from None

    def _secret_values(self, plan: Plan, names: list[str]) -> dict[str, str]:
        return resolve_secrets(plan, names, self._loader, self._task_vars.get("inventory_dir"))
