"""Scenario files: what is accepted, the one line that refusals are, overrides, notes, and the bundled ones."""

import json
import pickle
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sim.arrival_models import AtStartArrivals, PoissonArrivals, TraceArrivals
from sim.distributions import Empirical, Exponential, Lognormal
from sim.input_errors import InputError, LogError, ScenarioError
from sim.scenario import (
    DEFAULT_SCENARIO,
    SCHEMA_FILE,
    bundled_scenarios,
    load_scenario,
    scenario_schema,
    schema_text,
)
from sim.scenario_checks import may_serve, scenario_notes
from sim.scenario_models import FieldMapping, ReleasePolicy, Scenario
from sim.traces import read_traces, trace_notes, watch_lists

DATA = Path(__file__).parent / "data"
ANALYTIC = {case["id"]: case for case in json.loads((DATA / "analytic_cases.json").read_text())["cases"]}

MINIMAL = """
name = "mine"
run.duration_seconds = 10
[producers]
arrivals = {kind = "poisson", rate_per_second = 3.2}
[workers]
service = {kind = "exponential", mean_seconds = 1}
"""
TWO = """
name = "two"
[[producers]]
name = "web"
tube = "mail"
arrivals = {kind = "at-start", jobs = 5}
[[producers]]
name = "log"
tube = "logs"
ttr_seconds = 5
arrivals = {kind = "constant", interval_seconds = 1}
jobs = 7
[[workers]]
name = "fast"
count = 2
watch = ["mail"]
service = {kind = "constant", seconds = 6}
touch_every_seconds = 60
[[workers]]
name = "slow"
watch = ["logs"]
service = {kind = "constant", seconds = 6}
"""
TRACE = """
name = "trace"
[producers]
arrivals = {kind = "trace", format = "swf", file = "small.swf"}
[workers]
service = {kind = "job"}
"""


def _load(folder: Path, text: str, *overrides: str) -> Scenario:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_scenario(path, overrides)


def _refusal(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        _load(folder, text, *overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is accepted --------------------------------------------------------------------------------------


def test_a_minimal_scenario_has_the_documented_defaults(tmp_path: Path) -> None:
    scenario = _load(tmp_path, MINIMAL)
    producer, pool, run = scenario.producers[0], scenario.workers[0], scenario.run
    assert (run.seed, run.stop, run.warmup_seconds, run.units_per_second) == (1, "drained", 0.0, 1_000_000)
    assert scenario.machine.max_job_size == 65_535
    assert (producer.tube, producer.priority, producer.delay_seconds, producer.ttr_seconds) == ("default", 1024, 0, 60)
    assert (producer.name, producer.class_name, pool.name) == ("jobs", "jobs", "workers")
    assert (pool.count, pool.watch, pool.redraw, pool.gives_up_at_ttr) == (1, ("default",), "each-attempt", False)
    assert scenario.directory == tmp_path


def test_every_default_that_a_description_names_is_the_default() -> None:
    """The descriptions are the reference, so they must not lie."""
    checked = 0
    for table in (scenario_schema(), *scenario_schema()["$defs"].values()):
        for key, node in table.get("properties", {}).items():
            value = node.get("default")
            if isinstance(value, dict) or value in (None, "", []):
                assert "description" in node, key
                continue
            said = re.search(r"; default ([^;]*?)(, about .*)?$", node["description"])
            assert said is not None, key
            assert tomllib.loads(f"value = {said[1]}")["value"] == value, key
            checked += 1
    assert checked >= 24


def test_the_resolved_scenario_is_complete_and_loads_again(tmp_path: Path) -> None:
    scenario = load_scenario("steady", ["run.seed=9"])
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps(scenario.resolved()))
    again = load_scenario(path)
    assert again.resolved() == scenario.resolved()
    assert again.run.seed == 9
    assert json.loads(path.read_text())["producers"][0]["priority"] == 1024


def test_values_from_a_file_are_read_into_the_resolved_scenario(tmp_path: Path) -> None:
    service = 'workers.service={kind="empirical", file="values.txt"}'
    (tmp_path / "values.txt").write_text((DATA / "scenarios" / "values.txt").read_text())
    scenario = _load(tmp_path, MINIMAL, service)
    assert isinstance(scenario.workers[0].service, Empirical)
    assert scenario.workers[0].service.values_seconds == (0.5, 1.0, 2.25)
    (tmp_path / "values.txt").unlink()
    (tmp_path / "scenario.json").write_text(json.dumps(scenario.resolved()))
    assert load_scenario(tmp_path / "scenario.json").resolved() == scenario.resolved()
    assert "values.txt can't be read (No such file or directory); give" in _refusal(tmp_path, MINIMAL, service)
    (tmp_path / "values.txt").write_text("1\nx\n")
    assert "line 2 of values.txt is 'x', no number; write one" in _refusal(tmp_path, MINIMAL, service)
    (tmp_path / "values.txt").write_text("# none\n")
    assert "there is no value to draw from" in _refusal(tmp_path, MINIMAL, service)


def test_a_scenario_survives_pickling_with_its_folder() -> None:
    scenario = load_scenario("nasa-ipsc")
    copy = pickle.loads(pickle.dumps(scenario))
    assert copy == scenario
    assert copy.directory == scenario.directory
    assert read_traces(copy)["ipsc"].put_at[:2] == [0, 1_460_000_000]


def test_back_off_grows_by_its_factor_to_its_maximum() -> None:
    policy = ReleasePolicy(kind="release", backoff_seconds=2, backoff_factor=2.0, backoff_max_seconds=15)
    assert [policy.delay_seconds(failures) for failures in (1, 2, 3, 4, 5, 10_000)] == [2, 4, 8, 15, 15, 15]
    assert ReleasePolicy(kind="release").delay_seconds(3) == 0
    assert ReleasePolicy(kind="release", backoff_seconds=3).delay_seconds(10**9) == 3
    fine = ReleasePolicy(kind="release", backoff_seconds=1, backoff_factor=1.5)
    assert [fine.delay_seconds(failures) for failures in (1, 2, 3, 4)] == [1, 2, 2, 3]  # 1, 1.5, 2.25, 3.375


# --- refusals ----------------------------------------------------------------------------------------------

WORKERS = "workers.service.kind"

REFUSALS: list[tuple[str | list[str], str]] = [
    ("run.sed=1", "run.sed = 1: there is no such key; did you mean seed? the keys here are seed, duration_seconds"),
    ("runs.seed=1", "runs = {seed = 1}: there is no such key; did you mean run?"),
    ("workers.count=-1", "workers.count = -1: must be at least 1; give the number of workers in the pool"),
    ("workers.count=2.5", "workers.count = 2.5: must be a whole number; give the number"),
    ("workers.count=many", 'workers.count = "many": must be a whole number'),
    ("run.seed=true", "run.seed = true: must be a whole number"),
    ("run.duration_seconds=inf", "run.duration_seconds = inf: must be a finite number"),
    ("run.duration_seconds=0", "run.duration_seconds = 0: must be above 0"),
    ("run.warmup_seconds=10", "run.warmup_seconds = 10: must be below run.duration_seconds = 10; shorten"),
    ("run.stop=never", "run.stop = \"never\": must be one of 'drained' or 'duration'; give one of them"),
    ("run.stop=drainned", "did you mean 'drained'?"),
    ("run.max_simulated_seconds=5", "run.duration_seconds = 10: must be at most run.max_simulated_seconds = 5"),
    ("run.units_per_second=1_000_000_001", "must be at most 1000000000"),
    ("run=5", "run = 5: must be a table"),
    ("name=a b", 'name = "a b": must be 1 to 64 letters, digits'),
    ("producers.arrivals.rate_per_second=-3.2", "producers.arrivals.rate_per_second = -3.2: must be above 0; give the"),
    ("producers.arrivals.kind=poison", "producers.arrivals.kind = \"poison\": must be one of 'poisson', "),
    ("producers.arrivals.kind=poison", "; did you mean 'poisson'?"),
    ("producers.arrivals={}", "producers.arrivals.kind: is missing; give the kind of the arrivals"),
    ("producers.arrivals=7", "producers.arrivals = 7: must be a table"),
    ('producers.arrivals={kind="constant"}', "arrivals.interval_seconds: is missing; give the seconds from one put"),
    ("producers.priority=4294967296", "producers.priority = 4294967296: must be at most 4294967295"),
    ("producers.ttr_seconds=0", "producers.ttr_seconds = 0: must be at least 1; give the whole seconds that a worker"),
    ("producers.delay_seconds=1.5", "producers.delay_seconds = 1.5: must be a whole number"),
    ("producers.body_bytes=70000", "body_bytes = 70000: must be at most machine.max_job_size = 65535; give fewer"),
    ("producers.tube=-a", "producers.tube = \"-a\": '-a' is no tube name; use 1 to 200 of"),
    ('producers.tube={from="user"}', "producers: tube is a mapping, which needs a log; give arrivals ="),
    ("producers.name=", "the value is no TOML"),
    ("workers.watch=default", 'workers.watch = "default": must be a list; give the tubes that the workers watch'),
    ("workers.watch=[]", "workers.watch = []: must be a list that is not empty"),
    (
        'workers.watch=["mail"]',
        'workers.workers.watch = ["mail"]: no producer puts jobs into these tubes; watch one of',
    ),
    ('workers.watch=["a b*"]', "is no tube name"),
    ("workers.reserve_timeout_seconds=0", "must be at least 1; give the whole seconds that a reserve waits"),
    ("workers.gives_up_at_ttr=1", "workers.gives_up_at_ttr = 1: must be true or false"),
    ('workers.service={kind="job"}', "the jobs of producer jobs carry no work; give producers.jobs.work"),
    ('workers.service={kind="lognormal", mu=1}', "workers.service: it has mu; give either mean_seconds and cv, or mu"),
    ('workers.service={kind="erlang",stages=0,mean_seconds=1}', "workers.service.stages = 0: must be at least 1; give"),
    (
        'workers.service={kind="hyper-exponential",cv=2}',
        "service: it has cv; give either phases, or mean_seconds and cv",
    ),
    ('workers.service={kind="bounded-pareto",shape=1,low_seconds=3,high_seconds=2}', "high_seconds = 2.0 is not above"),
    ('workers.failure={probability=1.5, policy={kind="bury"}}', "failure.probability = 1.5: must be at most 1"),
    ('workers.failure={probability=1, policy={kind="ttr"}}', "no job would ever be done, and the run never end; lower"),
    (
        'workers.failure={probability=0.5, policy={kind="release",jitter=1.5}}',
        "failure.policy.jitter = 1.5: must be at most 1; give the share of the delay that is drawn",
    ),
    (
        'workers.failure={probability=0.5, policy={kind="release",bury_after_failures=0}}',
        "bury_after_failures = 0: must be at least 1; give the number of failures of a job at which it is buried",
    ),
    ("workers.failure={probability=0.5}", "workers.failure.policy: is missing; give the policy"),
    ("producers.arrivals.rate_per_second=1e7", "rate_per_second = 1e+07: must be at most 1000000, so that a step"),
    ('producers.arrivals={kind="constant",interval_seconds=1e-7}', "interval_seconds = 1e-07: must be at least 1e-06"),
    (
        'producers.arrivals={kind="on-off",rate_per_second=1,mean_on_seconds=1e-9,mean_off_seconds=1}',
        "producers.jobs.arrivals.mean_on_seconds = 1e-09: must be at least 1e-06",
    ),
    (
        'producers.arrivals={kind="on-off",rate_per_second=2e6,mean_on_seconds=1,mean_off_seconds=1}',
        "producers.jobs.arrivals.rate_per_second = 2e+06: must be at most 1000000",
    ),
    (
        'producers.arrivals={kind="markov-modulated",states=[{rate_per_second=2e6,mean_seconds=1}]}',
        "producers.jobs.arrivals.states[0].rate_per_second = 2e+06: must be at most 1000000",
    ),
    (
        'producers.arrivals={kind="markov-modulated",states=[{rate_per_second=2,mean_seconds=1e-9}]}',
        "producers.jobs.arrivals.states[0].mean_seconds = 1e-09: must be at least 1e-06",
    ),
    (
        'producers.arrivals={kind="markov-modulated",states=[{rate_per_second=0,mean_seconds=1}]}',
        "producers.arrivals: no state has arrivals; give one a rate_per_second above 0",
    ),
    (
        'producers.arrivals={kind="profile",rate_per_second=1e6,day=[2]}',
        "producers.jobs.arrivals.rate_per_second = 2e+06: must be at most 1000000",
    ),
    (
        'producers.arrivals={kind="profile",rate_per_second=1,day=[0,0]}',
        "producers.arrivals: every factor is 0, nothing would ever be put; raise one of day and one of week",
    ),
    ('producers.arrivals={kind="profile",rate_per_second=1,week=[1,1]}', "producers.arrivals.week = [1, 1]: must be a"),
    ('producers.batch={kind="uniform",low=3,high=2}', "producers.batch: high = 2 lies below low = 3; raise it"),
    (
        ['producers.arrivals={kind="at-start",jobs=3}', 'producers.batch={kind="fixed",jobs=2}'],
        'producers.jobs.batch: is given, but arrivals of kind "at-start" have their own number of jobs at each instant',
    ),
    ('producers.classes=[{name="a",weight=0}]', "producers.classes[0].weight = 0: must be above 0; give the weight of"),
    ('producers.classes=[{name="a",weight=1,prio=2}]', "producers.classes[0].prio = 2: there is no such key; did you"),
    ('producers.classes=[{name="a",weight=1},{name="a",weight=2}]', "producers: two classes have one name; give each"),
    (
        ["producers.class=x", 'producers.classes=[{name="a",weight=1}]'],
        "producers: class and classes exclude each other; keep one of them",
    ),
    (
        'producers.classes=[{name="a",weight=1},{name="b",weight=1,body_bytes=70000}]',
        "producers.jobs.classes[1].body_bytes = 70000: must be at most machine.max_job_size = 65535; give fewer",
    ),
    ('producers.classes=[{name="a",weight=1,tube="-"}]', "classes[0].tube = \"-\": '-' is no tube name; use 1 to 200"),
    ('producers.classes=[{name="a",weight=1,tube="x"}]', "no producer puts jobs into these tubes; watch one of x"),
    (
        ['producers.classes=[{name="a",weight=1}]', 'workers.service={kind="job"}'],
        "the jobs of producer jobs carry no work; give producers.jobs.work",
    ),
    ("workers.touch_every_seconds=1e-9", "touch_every_seconds = 1e-09: must be at least 1e-06"),
    (
        'workers.crash={mean_seconds_between=1e-9,restart_seconds={kind="constant",seconds=0}}',
        "crash.mean_seconds_between = 1e-09: must be at least 1e-06",
    ),
    ("workers=[]", "workers = []: must be a list that is not empty; give the pools of workers"),
    ("workers.0.count.x=1", "workers.0.count is no table, so there is no x in it"),
    ("workers.watch[1]=mail", "1 is no place in a list of 1"),
    ("workers.count", "this is not KEY=VALUE; write it like workers.count=8"),
    ("workers..count=1", "this is not KEY=VALUE"),
    ("workers.count=[8", "the value is no TOML"),
]


@pytest.mark.parametrize(("override", "message"), REFUSALS)
def test_a_wrong_key_or_value_is_one_line_that_says_where_what_and_what_to_do(
    tmp_path: Path, override: str | list[str], message: str
) -> None:
    overrides = [override] if isinstance(override, str) else override
    text = MINIMAL.replace("service", 'watch = ["default"]\ncount = 1\nservice')
    refusal = _refusal(tmp_path, text, *overrides)
    assert message in refusal
    assert f"--set {overrides[0]}"[:60] in refusal


def test_the_same_mistake_in_the_file_names_the_file(tmp_path: Path) -> None:
    text = MINIMAL + "count = -1\n"
    assert _refusal(tmp_path, text) == (
        "mine.toml: workers.count = -1: must be at least 1; give the number of workers in the pool, at least 1"
    )
    text = TWO.replace("jobs = 7", "job = 7")
    assert "mine.toml: producers[1].job = 7: there is no such key; did you mean jobs?" in _refusal(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        _load(tmp_path, MINIMAL + "count = -1\n")
    error = caught.value
    assert (error.file, error.field, error.value, error.problem) == (
        "mine.toml",
        "workers.count",
        "-1",
        "must be at least 1",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "mine"', "", "mine.toml: name: is missing; give the name of the scenario"),
        ('name = "mine"', 'nam = "mine"', 'nam = "mine": there is no such key; did you mean name?'),
        ("run.duration_seconds = 10", "", "run.duration_seconds: is missing, and producer jobs never ends; give"),
        ("[workers]", "[workers", "mine.toml: this is no TOML: "),
        ("[workers]", "[workers", "(at line 6, column 9)"),
        ("[workers]", "[producers]", "this is no TOML: Cannot declare"),
        ("[workers]", "[[workers]]\nx = 1", "workers[0].x = 1: there is no such key"),
        ("[producers]", "[producers]\nclass = 3", "producers.class = 3: must be a text in quotes; give the class"),
    ],
)
def test_a_file_with_a_mistake_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = MINIMAL.replace(old, new)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("producers.arrivals.file=nope.swf", 'producers.jobs.arrivals.file = "nope.swf": there is no such file; give'),
        ('producers.tube={from="usr"}', 'producers.jobs.tube.from = "usr": an swf log has no such field; did you mean'),
        ('producers.work={kind="constant",seconds=1}', "work: is given, but the log has the work of each job; leave"),
        ("producers.arrivals.format=csv", 'format = "csv" needs to know its columns; add columns ='),
        ('producers.arrivals.columns={submit="a"}', 'columns go with format = "csv"'),
        ("producers.arrivals.time_scale=0", "time_scale = 0: must be above 0"),
        (
            'producers.classes=[{name="a",weight=1}]',
            "the jobs of a log are as they are; leave classes out, map its fields",
        ),
        ("producers.arrivals.keep_share=0", "keep_share = 0: must be above 0; give the share of the jobs to use"),
        ("producers.arrivals.keep_share=1.5", "keep_share = 1.5: must be at most 1"),
        ('producers.tube={from="user",template="u"}', "template holds no {value}; write it where"),
        ('producers.tube={from="user",template="{value}",table={a="b"}}', "template and table exclude each other"),
        ('producers.priority={from="user",bins=[{up_to=2,to=1},{up_to=2,to=1}]}', "bins are not by growing up_to"),
    ],
)
def test_a_trace_with_a_mistake_is_refused_before_the_run(tmp_path: Path, override: str, message: str) -> None:
    (tmp_path / "small.swf").write_text((DATA / "logs" / "small.swf").read_text())
    assert _load(tmp_path, TRACE).producers[0].ends_by_itself
    assert message in _refusal(tmp_path, TRACE, override)


def test_a_missing_trace_is_a_log_error(tmp_path: Path) -> None:
    with pytest.raises(
        LogError, match=r'^mine.toml: producers.jobs.arrivals.file = "small.swf": there is no such file'
    ):
        _load(tmp_path, TRACE)


def test_names_must_be_unique_and_stop_at_duration_needs_one(tmp_path: Path) -> None:
    assert 'producers[1].name = "web": another one has this name' in _refusal(tmp_path, TWO, "producers.log.name=web")
    assert 'run.duration_seconds: is missing, which stop = "duration" needs' in _refusal(
        tmp_path, TWO, "run.stop=duration"
    )


def test_constant_work_that_every_worker_gives_up_at_the_ttr_is_refused(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, TWO, "workers.slow.gives_up_at_ttr=true")
    assert "workers.slow.service.seconds = 6: no job of producer log would ever be done, its ttr is" in refusal
    assert _load(tmp_path, TWO, "workers.slow.gives_up_at_ttr=true", "workers.slow.max_attempts=4")


def test_failures_that_end_in_a_burial_may_be_certain(tmp_path: Path) -> None:
    failure = 'workers.failure={probability=1, policy={kind="release"%s}}'
    assert "no job would ever be done" in _refusal(tmp_path, MINIMAL, failure % "")
    assert _load(tmp_path, MINIMAL, failure % ",bury_after_failures=4").workers[0].failure is not None


def test_unreadable_scenarios_are_refused(tmp_path: Path) -> None:
    for name, data, message in (
        ("bytes.toml", b"name = '\xff'", "byte 8 is no UTF-8; save"),
        ("list.json", b"[]", "this is no table of settings"),
        ("half.json", b"{", "this is no JSON: "),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ScenarioError, match=message):
            load_scenario(tmp_path / name)
    with pytest.raises(ScenarioError, match="this is not a file"):
        load_scenario(tmp_path)
    with pytest.raises(
        ScenarioError, match=r"^stedy: there is no such scenario; did you mean steady\? give a path, or"
    ):
        load_scenario("stedy")


# --- overrides ---------------------------------------------------------------------------------------------


def test_an_override_reaches_a_pool_by_name_by_place_and_alone(tmp_path: Path) -> None:
    for path in ("workers.slow.count", "workers.1.count", "workers[1].count"):
        assert [pool.count for pool in _load(tmp_path, TWO, f"{path}=8").workers] == [2, 8]
    for path in ("workers.count", "workers.workers.count", "workers.0.count"):
        assert _load(tmp_path, MINIMAL, f"{path}=8").workers[0].count == 8
        assert _load(tmp_path, MINIMAL.replace("[workers]", "[[workers]]"), f"{path}=8").workers[0].count == 8


def test_an_override_that_could_mean_several_pools_lists_the_ways_to_say_which(tmp_path: Path) -> None:
    assert _refusal(tmp_path, TWO, "workers.count=8") == (
        "--set workers.count=8: there are 2 workers, and none is called count; "
        "say which: workers.fast.count, workers.slow.count"
    )
    assert "workers.fast.service.seconds, workers.slow.service.seconds" in _refusal(
        tmp_path, TWO, "workers.fats.service.seconds=1"
    )


def test_override_values_are_toml_or_bare_words_and_the_last_one_wins(tmp_path: Path) -> None:
    scenario = _load(
        tmp_path,
        MINIMAL,
        "run.seed=3",
        "run.seed = 4",
        "description=two words",
        "producers.tube=mail",
        'workers.watch=["x", "mail"]',
        "workers.watch[0]=y",
        'workers.service={kind="lognormal", mean_seconds=2, cv=1.5}',
        "producers.arrivals.rate_per_second=1e-3",
        "workers.gives_up_at_ttr=true",
    )
    assert (scenario.run.seed, scenario.description) == (4, "two words")
    assert scenario.workers[0].watch == ("y", "mail")
    assert isinstance(scenario.workers[0].service, Lognormal)
    assert scenario.workers[0].gives_up_at_ttr
    assert isinstance(scenario.producers[0].arrivals, PoissonArrivals)
    assert scenario.producers[0].arrivals.rate_per_second == 0.001


def test_an_override_makes_the_table_that_a_file_left_out(tmp_path: Path) -> None:
    assert _load(tmp_path, TWO, "machine.max_job_size=10").machine.max_job_size == 10


def test_the_override_that_stands_is_the_one_that_is_named(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, MINIMAL, "workers.count=-1", "workers.count=0")
    assert refusal.startswith("--set workers.count=0: workers.count = 0:")
    whole = 'workers.service={kind="constant"}'
    refusal = _refusal(tmp_path, MINIMAL, "workers.service.kind=a", whole, "workers.service.kind=b")
    assert refusal.startswith("--set workers.service.kind=b: ")
    refusal = _refusal(tmp_path, MINIMAL + "count = -1\n", "run.seed=3")
    assert refusal.startswith("mine.toml: workers.count = -1:")


# --- notes -------------------------------------------------------------------------------------------------


def test_notes_say_what_is_allowed_but_easily_overlooked(tmp_path: Path) -> None:
    assert scenario_notes(_load(tmp_path, MINIMAL)) == ()
    assert scenario_notes(_load(tmp_path, TWO)) == (
        "the workers of fast touch every 60 s, not before a ttr of 60 s has run out",
        "the work of slow, 6 s, is longer than a ttr of 5 s",
    )
    scenario = _load(tmp_path, TWO, 'workers.slow.watch=["mail"]')
    assert scenario_notes(scenario)[0] == "no worker watches the tube logs: its jobs stay in the machine"
    assert not may_serve(scenario.workers[0], scenario.producers[1])


# --- the bundled scenarios and the published schema --------------------------------------------------------


def test_the_published_schema_is_not_stale() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run: python -m sim.scenario"


def test_the_schema_accepts_what_the_loader_accepts_and_refuses_mistakes(tmp_path: Path) -> None:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in bundled_scenarios().values():
        validator.validate(tomllib.loads(path.read_text(encoding="utf-8")))
        validator.validate(load_scenario(path).resolved())
    for text in (MINIMAL, TWO, TRACE):
        validator.validate(tomllib.loads(text))
    for old, new in (("[workers]", "[worker]"), ("3.2", "-3.2"), ("mean_seconds = 1", "mean_seconds = 'x'")):
        assert not validator.is_valid(tomllib.loads(MINIMAL.replace(old, new)))


@pytest.mark.parametrize("name", list(bundled_scenarios()))
def test_each_bundled_scenario_loads_under_its_name_and_describes_itself(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.description.endswith(".")
    assert scenario_notes(scenario) == ()
    assert set(watch_lists(scenario, read_traces(scenario))) == {pool.name for pool in scenario.workers}


def test_the_default_scenario_shows_every_kind_of_trouble() -> None:
    scenario = load_scenario()
    assert scenario.name == DEFAULT_SCENARIO == "steady"
    general, mailers = scenario.workers
    assert general.count + mailers.count == 10
    assert general.failure is not None
    assert mailers.failure is not None
    assert {general.failure.policy.kind, mailers.failure.policy.kind} == {"release", "ttr"}
    assert None not in (general.crash, general.touch_every_seconds, general.max_attempts)
    assert len({producer.tube for producer in scenario.producers}) == 2
    assert len({producer.priority for producer in scenario.producers}) == 2
    rates = 5.5 + 2.0
    attempts = sum(0.06**tries for tries in range(3))
    assert 0.75 <= rates * attempts / 10 <= 0.85


def test_the_nasa_scenario_uses_every_job_within_its_ttr() -> None:
    scenario = load_scenario("nasa-ipsc")
    jobs = read_traces(scenario)["ipsc"]
    assert isinstance(scenario.producers[0].arrivals, TraceArrivals)
    assert jobs.summary() == {
        "file": "NASA-iPSC-1993-3.1-cln.swf.gz",
        "lines_read": 18_239,
        "used": 18_239,
        "left_out": {},
        "rejected": [],
        "out_of_order": 0,
    }
    assert jobs.work is not None
    assert max(jobs.work) == 62_643 * 1_000_000 < scenario.producers[0].ttr_seconds * 1_000_000
    assert {tube: jobs.tubes.count(tube) for tube in ("normal", "system")} == {"normal": 14_952, "system": 3_287}
    assert sorted(set(jobs.priorities)) == [100, 200, 300, 400]
    notes = trace_notes(scenario, {"ipsc": jobs})
    assert any(note.endswith("the given submit times are actually start times") for note in notes)
    assert not any("ttr" in note for note in notes)


def _only(scenario: Scenario) -> tuple[float, int, Any]:
    """Arrival rate, workers and service of a scenario with one producer and one pool."""
    (producer,), (pool,) = scenario.producers, scenario.workers
    assert isinstance(producer.arrivals, PoissonArrivals)
    assert not isinstance(producer.tube, FieldMapping)
    return producer.arrivals.rate_per_second, pool.count, pool.service


@pytest.mark.parametrize(
    ("name", "case"), [("mm1", "mm1_rho0.8"), ("mm4", "mm4_rho0.8"), ("ttr-retry", "ttr_exp_repeat_different")]
)
def test_the_exponential_scenarios_are_the_analytic_cases(name: str, case: str) -> None:
    params = ANALYTIC[case]["params"]
    scenario = load_scenario(name)
    rate, count, service = _only(scenario)
    assert isinstance(service, Exponential)
    assert (rate, count, 1 / service.mean_seconds) == (
        params["arrival_rate"],
        params["workers"],
        params["service_rate"],
    )
    ttr = params.get("ttr")
    assert scenario.workers[0].gives_up_at_ttr == (ttr is not None)
    assert scenario.producers[0].ttr_seconds == (ttr or 1_000_000)


def test_the_lognormal_scenario_is_the_analytic_case() -> None:
    params = ANALYTIC["mg1_lognormal_cv2_rho0.8"]["params"]
    rate, count, service = _only(load_scenario("mg1-lognormal"))
    assert (rate, count) == (params["arrival_rate"], params["workers"])
    assert service.log_moments() == pytest.approx((params["mu_log"], params["sigma_log"]))


def test_the_priority_scenario_is_the_analytic_case() -> None:
    params = ANALYTIC["mm1_prio3_nonpreemptive"]["params"]
    scenario = load_scenario("priorities")
    rates = [
        producer.arrivals.rate_per_second
        for producer in scenario.producers
        if isinstance(producer.arrivals, PoissonArrivals)
    ]
    assert rates == params["arrival_rates"]
    assert [producer.priority for producer in scenario.producers] == params["priorities"]
    assert scenario.workers[0].count == params["workers"]
    assert scenario.workers[0].service == Exponential(kind="exponential", mean_seconds=1 / params["service_rate"])


def test_the_drain_scenario_is_the_analytic_case() -> None:
    params = ANALYTIC["drain_100_jobs_5_workers"]["params"]
    scenario = load_scenario("drain")
    assert scenario.producers[0].arrivals == AtStartArrivals(kind="at-start", jobs=params["jobs"])
    assert scenario.workers[0].count == params["workers"]
    assert scenario.workers[0].service == Exponential(kind="exponential", mean_seconds=1 / params["service_rate"])
