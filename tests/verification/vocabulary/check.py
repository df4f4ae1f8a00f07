"""What a check is: a function with an id, a title, targets, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from vocabulary.mesh import Mesh

Function = TypeVar("Function", bound=Callable[..., None])


@dataclass(frozen=True)
class Target:
    """What one result is about. `subject` fills `{subject}` in the check's id and title."""

    host: str
    subject: str = ""
    instance: str = ""
    unit: str = ""
    data: Any = None


@dataclass(frozen=True)
class Check:
    """`id` and `title` may hold `{subject}`; `targets` lists what it is about in a given mesh.

    `capability`: a platform that lacks it makes the check not applicable. `vantage`: `edge` looks from the controller,
    `mesh` from a host. `writes`: it leaves records for a moment, so a site can forbid it. `hint` names a hint of the
    platform. Its time limit is `verify.probe_timeout_s` of the plan, per probe.
    """

    id: str
    title: str
    targets: Callable[[Mesh], Iterable[Target]]
    capability: str = ""
    vantage: str = "mesh"
    writes: bool = False
    hint: str = "unit"

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]

    def id_for(self, target: Target) -> str:
        return self.id.format(subject=target.subject)

    def title_for(self, target: Target) -> str:
        return self.title.format(subject=target.subject)


CATALOGUE: dict[str, tuple[Check, Callable[..., None]]] = {}
"""Every check by its id, as the modules in `checks/` declare them."""


def check(
    check_id: str, title: str, *, targets: Callable[[Mesh], Iterable[Target]], **options: Any
) -> Callable[[Function], Function]:
    """Declares a check; the function takes `(mesh, target)` and raises an OutcomeError unless all is well."""
    declared = Check(check_id, title, targets, **options)
    if check_id in CATALOGUE:
        raise ValueError(f"two checks have the id {check_id}")

    def register(function: Function) -> Function:
        CATALOGUE[check_id] = (declared, function)
        function.check = declared
        return function

    return register
