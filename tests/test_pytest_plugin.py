"""The plugin for pytest, used as strangers use it: by pytest runs of small test files."""

import subprocess
import sys
from pathlib import Path

import pytest

import models.checked
import models.recorder  # noqa: F401 - what the inner runs import stays imported, and is not loaded anew for each
from models import pytest_plugin
from models.scope import SCOPES

pytest_plugins = ("pytester",)

PASSING = """
from jsm import ObservedMachine

def test_a_life(jsm_machine):
    job = jsm_machine.put(0, priority=0, delay_seconds=0, ttr_seconds=1, body=b"", tube="t")
    jsm_machine.reserve_job(0, job, "a")
    assert jsm_machine.tick(1) == []
    jsm_machine.delete(job, "b")

def test_a_trace(jsm_trace):
    machine = ObservedMachine(observer=jsm_trace)
    machine.put(0, priority=0, delay_seconds=1, ttr_seconds=1, body=b"", tube="t")
    machine.tick(1)

def test_both(jsm_machine, jsm_trace):
    jsm_machine.use_tube("a", "t")
    assert len(jsm_trace) == 1
"""

FAULTY = """
import pytest
from jsm import Machine, ObservedMachine

class Late(Machine):
    def tick(self, now):
        super().tick(now)
        return []

def wait(machine):
    machine.append_reservation(0, "a", request_id="r", tubes=["t"], deadline_at=1)
"""


@pytest.fixture
def plugin(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The arguments that leave out what is not needed, and load the plugin where it is not installed."""
    unneeded = [
        part for name in ("cacheprovider", "hypothesispytest", "benchmark", "xdist") for part in ("-p", f"no:{name}")
    ]
    loaded = request.config.pluginmanager.is_registered(pytest_plugin)
    return (*unneeded, *(() if loaded else ("-p", "models.pytest_plugin")))


def test_what_holds_passes(pytester: pytest.Pytester, plugin: tuple[str, ...]) -> None:
    pytester.makepyfile(PASSING)
    result = pytester.runpytest_inprocess(
        *plugin, "--strict-markers", "-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning"
    )
    result.assert_outcomes(passed=3)


def test_a_violation_fails_the_test_where_it_happens(pytester: pytest.Pytester, plugin: tuple[str, ...]) -> None:
    pytester.makepyfile(
        FAULTY
        + """
@pytest.mark.jsm_machine(make_machine=Late)
def test_late(jsm_machine):
    wait(jsm_machine)
    jsm_machine.tick(1)
    print("not reached")
"""
    )
    result = pytester.runpytest_inprocess(*plugin)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*each_wait_gets_one_answer*", "*the calls:*", "*append_reservation(0, 'a', *"])
    result.stdout.no_fnmatch_line("not reached")


def test_a_swallowed_violation_fails_the_test_all_the_same(pytester: pytest.Pytester, plugin: tuple[str, ...]) -> None:
    pytester.makepyfile(
        FAULTY
        + """
@pytest.mark.jsm_machine(make_machine=Late)
def test_late(jsm_machine):
    wait(jsm_machine)
    try:
        jsm_machine.tick(1)
    except AssertionError:
        pass
"""
    )
    result = pytester.runpytest_inprocess(*plugin)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*each_wait_gets_one_answer*"])


def test_settings_come_from_the_closest_marker(pytester: pytest.Pytester, plugin: tuple[str, ...]) -> None:
    pytester.makepyfile(
        """
import pytest

@pytest.mark.jsm_machine(units_per_second=1000, max_job_size=5)
class TestThem:
    @pytest.mark.jsm_machine(units_per_second=7)
    def test_it(self, jsm_machine, jsm_trace):
        assert (jsm_machine.units_per_second, jsm_machine.max_job_size) == (7, 5)
        assert jsm_trace.lines() == ['{"format":"jsm-trace","version":1,"units_per_second":7,"max_job_size":5}']
"""
    )
    pytester.runpytest_inprocess(*plugin).assert_outcomes(passed=1)


TRACED = (
    FAULTY
    + """
def test_late(jsm_trace):
    machine = ObservedMachine(observer=jsm_trace, make_machine=Late)
    wait(machine)
    machine.tick(1)

def test_of_another_kind[2](jsm_trace):
    machine = ObservedMachine(observer=jsm_trace)
    wait(machine)
    assert not machine.tick(1)

def test_that_passes(jsm_trace):
    wait(ObservedMachine(observer=jsm_trace))
""".replace("[2]", "")
)


def test_a_trace_is_verified_at_the_end_and_written(pytester: pytest.Pytester, plugin: tuple[str, ...]) -> None:
    pytester.makepyfile(test_traced=TRACED)
    result = pytester.runpytest_inprocess(*plugin, "--jsm-trace-dir", "traces")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*the trace does not hold: record 2, *", "*2 records, in traces*late.jsonl"])
    names = sorted(path.name for path in (pytester.path / "traces").iterdir())
    assert names == ["test_traced.py-test_late.jsonl", "test_traced.py-test_of_another_kind.jsonl"]
    for path in (pytester.path / "traces").iterdir():
        assert len(path.read_text("utf-8").splitlines()) == 3


def test_without_a_folder_a_trace_goes_to_the_tests_own(pytester: pytest.Pytester, plugin: tuple[str, ...]) -> None:
    pytester.makepyfile(test_traced=TRACED)
    result = pytester.runpytest_inprocess(*plugin, "-k", "late", "--basetemp", "temporary")
    result.assert_outcomes(passed=1, errors=1)
    assert [path.name for path in (pytester.path / "temporary").rglob("*.jsonl")] == ["test_traced.py-test_late.jsonl"]


@pytest.mark.parametrize(
    ("marker", "line"),
    [
        ("jsm_machine(units=1)", "jsm_machine takes units_per_second, max_job_size, make_machine by name, not units"),
        ("beanstalkd_server(port=1)", "beanstalkd_server takes max_job_size, make_machine by name, not port"),
        ("jsm_machine(3)", "jsm_machine takes units_per_second, max_job_size, make_machine by name, not 3"),
        ("jsm_scope", 'jsm_scope takes one name, such as jsm_scope("small")'),
        ('jsm_scope("small", depth=3)', 'jsm_scope takes one name, such as jsm_scope("small")'),
        ('jsm_scope("huge")', f"jsm_scope = 'huge': expected one of {', '.join(SCOPES)}"),
    ],
)
def test_a_bad_marker_is_a_usage_error(
    pytester: pytest.Pytester, plugin: tuple[str, ...], marker: str, line: str
) -> None:
    pytester.makepyfile(test_bad=f"import pytest\n\n@pytest.mark.{marker}\ndef test_it():\n    pass\n")
    result = pytester.runpytest_inprocess(*plugin)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [text for text in result.errlines if text] == [f"ERROR: test_bad.py::test_it: {line}"]


def test_a_bad_scope_is_a_usage_error(pytester: pytest.Pytester, plugin: tuple[str, ...]) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_inprocess(*plugin, "--jsm-scope", "huge")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [text for text in result.errlines if text] == [
        f"ERROR: --jsm-scope = 'huge': expected one of {', '.join(SCOPES)}"
    ]


EXPLORING = (
    FAULTY
    + """
@pytest.mark.jsm_scope("tiny")
def test_every_history(jsm_explore):
    result = jsm_explore()
    assert result.states > 10

@pytest.mark.jsm_scope("tiny")
def test_late(jsm_explore):
    jsm_explore(Late)
"""
)


def test_a_scope_that_holds_passes_and_one_that_is_violated_fails(
    pytester: pytest.Pytester, plugin: tuple[str, ...]
) -> None:
    pytester.makepyfile(EXPLORING)
    result = pytester.runpytest_inprocess(*plugin)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["scope 'tiny' is violated: ", "*client a asks for a job of default*", "*tick*"])


def test_the_option_overrides_the_scope(pytester: pytest.Pytester, plugin: tuple[str, ...]) -> None:
    pytester.makepyfile(EXPLORING)
    result = pytester.runpytest_inprocess(*plugin, "-k", "late", "--jsm-scope", "tubes")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["scope 'tubes' is violated:*"])


def test_a_bound_that_is_hit_is_no_pass(pytester: pytest.Pytester, plugin: tuple[str, ...]) -> None:
    program = (
        "from models.explorer import Bounds\n\ndef test_it(jsm_explore):\n    jsm_explore(bounds=Bounds(states=5))\n"
    )
    pytester.makepyfile(program)
    result = pytester.runpytest_inprocess(*plugin, "--jsm-scope", "tiny")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*scope 'tiny' is undetermined: more than 5 states are known, * of them done*"])


SERVING = (
    FAULTY
    + """
import greenstalk

class Generous(Machine):
    "Gives a job that is reserved to whoever asks next."

    def reserve_job(self, now, job_id, client_id, *, request_id=""):
        return super().reserve_job(now, job_id, "somebody else", request_id=request_id)

def use(server):
    with greenstalk.Client(server.address) as client:
        client.reserve_job(client.put("a", ttr=60))
        server.advance(60)

def test_that_passes(beanstalkd_server):
    use(beanstalkd_server)
    assert beanstalkd_server.now == 60.0
    assert len(beanstalkd_server.trace) > 0

@pytest.mark.beanstalkd_server(max_job_size=3)
class TestSmall:
    def test_settings(self, beanstalkd_server, jsm_trace):
        with greenstalk.Client(beanstalkd_server.address) as client, pytest.raises(greenstalk.JobTooBigError):
            client.put("four")

@pytest.mark.beanstalkd_server(make_machine=Generous)
def test_of_a_faulty_server(beanstalkd_server):
    use(beanstalkd_server)

@pytest.mark.beanstalkd_server(make_machine=Late)
def test_that_fails_itself(beanstalkd_server):
    use(beanstalkd_server)
    assert not "this"
"""
)


def test_what_a_server_did_is_verified_at_the_end_and_written(
    pytester: pytest.Pytester, plugin: tuple[str, ...]
) -> None:
    pytester.makepyfile(test_served=SERVING)
    result = pytester.runpytest_inprocess(*plugin, "--strict-markers", "--jsm-trace-dir", "traces")
    result.assert_outcomes(passed=3, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*what the server did does not hold: *somebody else*", "*records, in traces*faulty_server-server.jsonl"]
    )
    names = sorted(path.name for path in (pytester.path / "traces").iterdir())
    assert names == [
        "test_served.py-test_of_a_faulty_server-server.jsonl",
        "test_served.py-test_that_fails_itself-server.jsonl",
    ]


def test_the_plugin_imports_pytest_and_the_standard_library() -> None:
    """It is loaded by every run of pytest wherever the package is installed."""
    program = (
        "import sys, pytest; before = set(sys.modules); import models.pytest_plugin; "
        "new = set(sys.modules) - before; "
        "sys.exit(str(sorted(n for n in new if n.split('.')[0] not in sys.stdlib_module_names | {'models'})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stderr.strip() == "[]"
