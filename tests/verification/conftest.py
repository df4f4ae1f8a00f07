"""Runs the catalogue of checks against the answers there are: each check passes, fails, or asks for more.

Called by the judge with `--mesh-run FOLDER`; leaves `results.json` and `questions/<host>.json` in it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from vocabulary.check import Check, Target
from vocabulary.mesh import Mesh
from vocabulary.outcome import NotCheckedError, OutcomeError, UnansweredError
from vocabulary.run import Run

_RUN = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mesh-run", required=True, help="folder of the verification run")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RUN] = Run.open(Path(config.getoption("--mesh-run")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    check: Check = metafunc.function.check
    run = metafunc.config.stash[_RUN]
    targets = run.targets(check)
    metafunc.parametrize("target", targets, ids=[f"{each.host}-{each.instance or 'host'}" for each in targets])


@pytest.fixture
def mesh(request: pytest.FixtureRequest) -> Mesh:
    """The mesh that is being judged."""
    return request.config.stash[_RUN].mesh


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Turns how a check ended into a result; nothing a check raises ends the run."""
    run = pyfuncitem.config.stash[_RUN]
    check: Check = pyfuncitem.function.check
    target: Target = pyfuncitem.funcargs["target"]
    run.begin()
    try:
        run.refuse(check)
        pyfuncitem.obj(run.mesh, target)
    except OutcomeError as outcome:
        run.end(check, target, outcome)
    except UnansweredError:
        run.pending(check, target)
    except Exception as error:
        run.end(check, target, NotCheckedError(f"the check itself failed: {type(error).__name__}: {error}"))
    else:
        run.end(check, target, None)
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash[_RUN].close()
