"""A plugin for pytest: a checked machine, traces that are verified, scopes that are explored.

Installed with the package; it costs nothing until it is used, since everything but pytest is imported then.

- `jsm_machine`: a machine that is checked at every call (`models.checked.CheckedMachine`). The marker
  `@pytest.mark.jsm_machine(units_per_second=…, max_job_size=…, make_machine=…)` says which one.
- `jsm_trace`: an observer for a machine of the test's own. What it has recorded is verified when the test ends, and
  written as a trace when the test fails: into the folder of `--jsm-trace-dir`, or the test's `tmp_path`.
- `jsm_explore`: a function that explores all histories of a scope with a machine class; the test fails unless the
  scope holds. The marker `@pytest.mark.jsm_scope("small")` names the scope; `--jsm-scope NAME` overrides it.
- `beanstalkd_server`: a beanstalkd on a port of the loopback whose time only the test lets pass
  (`models.served.BeanstalkdServer`), for programs that talk to one. All that it has done is verified when the test
  ends, and written like `jsm_trace` when the test fails. The marker `@pytest.mark.beanstalkd_server(max_job_size=…,
  make_machine=…)` says which one.
"""

import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from jsm.machine import Machine
    from models.check_result import CheckResult
    from models.checked import CheckedMachine
    from models.recorder import TraceRecorder
    from models.served import BeanstalkdServer

MARKERS: Final = (
    "jsm_machine(units_per_second=1, max_job_size=65535, make_machine=Machine): which machine jsm_machine is",
    "jsm_scope(name): which scope jsm_explore explores; --jsm-scope overrides it",
    "beanstalkd_server(max_job_size=65535, make_machine=Machine): which server beanstalkd_server is",
)
_SETTINGS: Final = {
    "jsm_machine": ("units_per_second", "max_job_size", "make_machine"),
    "beanstalkd_server": ("max_job_size", "make_machine"),
}
_DEFAULT_SCOPE: Final = "small"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--jsm-scope` and `--jsm-trace-dir`."""
    group = parser.getgroup("jsm", "the beanstalkd job state machine")
    group.addoption("--jsm-scope", metavar="NAME", help="explore this scope, whatever @pytest.mark.jsm_scope says")
    group.addoption("--jsm-trace-dir", metavar="DIR", help="write the traces of failed tests into this folder")


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known; refuse a scope that does not exist before anything runs."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    name = config.getoption("--jsm-scope")
    if name is not None:
        _check_scope("--jsm-scope", name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse markers that can't be obeyed, before anything runs."""
    for item in items:
        for marker in item.iter_markers("jsm_scope"):
            if len(marker.args) != 1 or marker.kwargs:
                raise pytest.UsageError(f'{item.nodeid}: jsm_scope takes one name, such as jsm_scope("small")')
            _check_scope(f"{item.nodeid}: jsm_scope", marker.args[0])
        for name, settings in _SETTINGS.items():
            for marker in item.iter_markers(name):
                unknown = [*map(repr, marker.args), *(field for field in marker.kwargs if field not in settings)]
                if unknown:
                    wanted = ", ".join(settings)
                    raise pytest.UsageError(f"{item.nodeid}: {name} takes {wanted} by name, not {unknown[0]}")


@pytest.fixture
def jsm_machine(request: pytest.FixtureRequest) -> "Generator[CheckedMachine]":
    """A machine that is checked at every call; what does not hold fails the test, even if the test swallows it."""
    from models.checked import CheckedMachine

    settings = _settings_of(request.node, "jsm_machine")
    trace = request.getfixturevalue("jsm_trace") if "jsm_trace" in request.fixturenames else None
    machine = CheckedMachine(**settings, observer=trace)
    if trace is not None:
        trace.units_per_second, trace.max_job_size = machine.units_per_second, machine.max_job_size
        trace.is_checked = True
    yield machine
    if machine.violation is not None and not _has_failed(request.node):
        raise machine.violation


@pytest.fixture
def jsm_trace(request: pytest.FixtureRequest) -> "Generator[TraceRecorder]":
    """An observer that keeps all records, which are verified when the test ends, and written when it fails."""
    from models.recorder import TraceRecorder

    recorder = TraceRecorder()
    _keep(request, "", recorder)
    yield recorder
    finding = None if _has_failed(request.node) else recorder.finding()
    if finding is not None:
        pytest.fail(f"the trace does not hold: {finding}", pytrace=False)


@pytest.fixture
def beanstalkd_server(request: pytest.FixtureRequest) -> "Generator[BeanstalkdServer]":
    """A beanstalkd whose time only the test lets pass; what it does is verified when the test ends."""
    from models.served import BeanstalkdServer

    server = BeanstalkdServer(**_settings_of(request.node, "beanstalkd_server"))
    _keep(request, "-server", server.trace)
    with server:
        yield server
    finding = None if _has_failed(request.node) else server.finding()
    if finding is not None:
        pytest.fail(f"what the server did does not hold: {finding}", pytrace=False)


@pytest.fixture
def jsm_explore(request: pytest.FixtureRequest) -> "Callable[..., CheckResult]":
    """A function that explores a scope with a machine class and fails the test unless the scope holds."""
    marker = request.node.get_closest_marker("jsm_scope")
    wanted = request.config.getoption("--jsm-scope") or (marker.args[0] if marker is not None else _DEFAULT_SCOPE)

    def explore_scope(make_machine: "Callable[..., Machine] | None" = None, **options: Any) -> "CheckResult":
        from jsm.machine import Machine
        from models.explorer import explore
        from models.scope import SCOPES

        machine_class = make_machine or Machine
        result = explore(SCOPES[wanted], make_machine=machine_class, **options)
        if result.verdict != "holds":
            pytest.fail(f"scope {wanted!r} is {result.verdict}: {_why(result, machine_class)}", pytrace=False)
        return result

    return explore_scope


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test failed, and write its trace."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
        for suffix, recorder in item.stash.get(_RECORDERS, {}).items():
            path = item.stash[_FOLDER] / f"{_file_name(item)}{suffix}.jsonl"
            recorder.write(path)
            report.sections.append(("jsm trace", f"{len(recorder)} records, in {path}"))
    return report


_FAILED: Final = pytest.StashKey[bool]()
_FOLDER: Final = pytest.StashKey[Path]()
_RECORDERS: "Final[pytest.StashKey[dict[str, TraceRecorder]]]" = (
    pytest.StashKey()
)  # by what their files' names end with


def _has_failed(item: pytest.Item) -> bool:
    return item.stash.get(_FAILED, False)


def _settings_of(item: pytest.Item, marker_name: str) -> dict[str, Any]:
    """What the markers of a name say; the closest one comes first, and counts."""
    settings: dict[str, Any] = {}
    for marker in item.iter_markers(marker_name):
        settings = {**marker.kwargs, **settings}
    return settings


def _keep(request: pytest.FixtureRequest, suffix: str, recorder: "TraceRecorder") -> None:
    """Let the recorder's trace be written should the test fail."""
    request.node.stash.setdefault(_RECORDERS, {})[suffix] = recorder
    request.node.stash[_FOLDER] = _folder_of(request)


def _folder_of(request: pytest.FixtureRequest) -> Path:
    given = request.config.getoption("--jsm-trace-dir")
    return Path(request.getfixturevalue("tmp_path")) if given is None else Path(given)


def _file_name(item: pytest.Item) -> str:
    """The test's name in letters that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", item.nodeid).strip("-")


def _check_scope(where: str, name: object) -> None:
    """Raise a usage error unless a scope has the name."""
    from models.scope import SCOPES

    if name not in SCOPES:
        raise pytest.UsageError(f"{where} = {name!r}: expected one of {', '.join(SCOPES)}")


def _why(result: "CheckResult", make_machine: "Callable[..., Machine]") -> str:
    """What an exploration that does not hold came to: a counterexample as numbered steps, if there is one."""
    from models.renderings import render

    if result.counterexample is not None:
        return f"\n{render(result.counterexample, 'steps', make_machine=make_machine)}"
    never = ", ".join(result.never_fired)
    return result.why or f"these operations never fired: {never}"
