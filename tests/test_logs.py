"""Logs of jobs: what the two formats give, what is rejected and how that is reported, and mappings."""

import gzip
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.csv_log import read_csv
from sim.input_errors import LogError, ScenarioError
from sim.logs import LogTable, bundled_logs, log_path
from sim.scenario_models import Scenario
from sim.swf import SWF_FIELDS, parsed_header, read_swf
from sim.traces import TraceJobs, produced_tubes, read_traces, trace_notes, watch_lists

LOGS = Path(__file__).parent / "data" / "logs"
NASA = "NASA-iPSC-1993-3.1-cln.swf.gz"


def _swf(path: Path, *fields: str, units_per_second: int = 10) -> LogTable:
    return read_swf(path, name=path.name, fields=fields, units_per_second=units_per_second)


def _csv(path: Path, *fields: str, work: str | None = "seconds", delimiter: str = ",") -> LogTable:
    return read_csv(
        path, name=path.name, submit="when", work=work, fields=fields, units_per_second=100, delimiter=delimiter
    )


def _scenario(arrivals: dict[str, Any], *, watch: tuple[str, ...] = ("*",), **producer: Any) -> Scenario:
    source = {"name": "log", "arrivals": {"kind": "trace", **arrivals}, "ttr_seconds": 50, **producer}
    scenario = Scenario.model_validate(
        {
            "name": "test",
            "run": {"units_per_second": 10},
            "producers": source,
            "workers": {"service": {"kind": "job"}, "watch": watch},
        }
    )
    scenario._directory = LOGS
    return scenario


def _jobs(arrivals: dict[str, Any], **producer: Any) -> TraceJobs:
    return read_traces(_scenario(arrivals, **producer))["log"]


SMALL = {"format": "swf", "file": "small.swf"}


# --- the Standard Workload Format --------------------------------------------------------------------------


def test_swf_gives_times_in_units_fields_as_text_and_unknown_ones_empty() -> None:
    log = _swf(LOGS / "small.swf", "user", "processors", "queue")
    assert log.submit.tolist() == [100, 120, 120, 400]
    assert log.work is not None
    assert log.work.tolist() == [300, 0, 125, 1000]
    assert log.fields == {
        "user": ("7", "8", "", "7"),
        "processors": ("4", "1", "", "64"),
        "queue": ("0", "1", "0", "1"),
    }
    assert log.line.tolist() == [9, 10, 13, 14]
    assert (len(log), log.lines_read, log.rejected, log.out_of_order) == (4, 4, (), 0)


def test_swf_header_keeps_repeated_keys_and_joins_continued_lines() -> None:
    log = _swf(LOGS / "small.swf")
    assert log.header["Note"] == ("the third job waited for a person, not for a processor", "made by hand")
    assert log.header["Queue"] == ("0  quick", "1  slow")
    assert log.notes[0] == ("the header of small.swf says: the third job waited for a person, not for a processor")
    assert parsed_header(["; Site: a", ";", ";      b", ";      http://c: d"]) == {"Site": ("a",)}


def test_swf_lines_that_cannot_be_used_are_counted_by_reason_with_the_first_line() -> None:
    log = _swf(LOGS / "broken.swf", "user")
    assert [(row["reason"], row["count"], row["first_line"]) for row in log.rejected] == [
        ("the submit time is unknown or negative", 1, 3),
        ("the run time is unknown or negative", 2, 4),
        ("the line has not 18 fields", 2, 6),
        ("a field is not a number", 1, 7),
        ("a time is not a finite number", 1, 8),
        ("a time is beyond 2^62 units", 1, 9),
    ]
    assert log.lines_read == len(log) + sum(row["count"] for row in log.rejected) == 11


def test_swf_lines_out_of_order_are_sorted_keeping_equal_instants_in_line_order() -> None:
    log = _swf(LOGS / "broken.swf", "user")
    assert log.submit.tolist() == [300, 300, 500]
    assert log.fields["user"] == ("8", "9", "7")
    assert log.line.tolist() == [10, 11, 2]
    assert log.out_of_order == 2


def test_the_places_of_all_swf_fields_are_those_of_the_format() -> None:
    assert list(SWF_FIELDS.values()) == list(range(18))


def test_the_bundled_nasa_log_is_read_whole() -> None:
    log = read_swf(log_path(f"bundled:{NASA}", Path()), name=NASA, fields=["user", "group"], units_per_second=1)
    assert (len(log), log.lines_read, log.rejected, log.out_of_order) == (18_239, 18_239, (), 0)
    assert log.work is not None
    assert log.work.max() == 62_643
    assert np.count_nonzero(log.work == 0) == 173
    assert (log.submit[0], log.submit[-1]) == (0, 7_948_936)
    assert len(set(log.fields["user"])) == 69
    assert set(log.fields["group"]) == {"1", "2"}
    assert any("submit times are actually start times" in note for note in log.notes)
    assert bundled_logs() == (NASA,)


# --- comma-separated values --------------------------------------------------------------------------------


def test_csv_takes_named_columns_quoted_fields_and_sorts() -> None:
    log = _csv(LOGS / "small.csv", "queue", "urgency", "who, exactly")
    assert log.submit.tolist() == [50, 150, 300]
    assert log.work is not None
    assert log.work.tolist() == [0, 225, 1000]
    assert log.fields["who, exactly"] == ("grace, h.", "ada", "")
    assert log.fields["urgency"] == ("20", "10", "")
    assert log.out_of_order == 1


def test_csv_without_work_has_none() -> None:
    assert _csv(LOGS / "small.csv", work=None).work is None


def test_jobs_of_one_instant_stay_in_line_order_however_many_they_are(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("when,seconds\n" + "".join(f"{9 - line % 3},1\n" for line in range(3_000)))
    log = _csv(path)
    lines = log.line.tolist()
    assert lines == sorted(lines, key=lambda line: (9 - (line - 2) % 3, line))
    assert log.out_of_order == 2_000


def test_csv_takes_dates_in_any_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        log = _csv(LOGS / "dates.csv", delimiter=";")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (log.submit - log.submit[0]).tolist() == [0, 3_000, 6_000]


def test_csv_takes_another_delimiter() -> None:
    log = _csv(LOGS / "dates.csv", delimiter=";")
    assert (log.submit - log.submit[0]).tolist() == [0, 3_000, 6_000]


def test_csv_lines_that_cannot_be_used_are_counted_by_reason() -> None:
    log = _csv(LOGS / "broken.csv")
    assert [(row["reason"], row["count"], row["first_line"]) for row in log.rejected] == [
        ("a time is missing or not a number", 2, 3),
        ("the run time is unknown or negative", 1, 5),
        ("the line has not as many fields as there are column names", 1, 6),
    ]
    assert len(log) == 2


def test_csv_with_a_missing_column_names_those_that_there_are() -> None:
    with pytest.raises(LogError, match=r"^small.csv: there is no column 'ques'; did you mean 'queue'\? its first line"):
        _csv(LOGS / "small.csv", "ques")


# --- logs that can't be read at all ------------------------------------------------------------------------


def test_a_truncated_gzip_is_one_clear_error(tmp_path: Path) -> None:
    whole = log_path(f"bundled:{NASA}", Path()).read_bytes()
    for name, data in {"cut": whole[: len(whole) // 2], "head": whole[:5], "damaged": whole[:9] + b"\xff" * 90}.items():
        path = tmp_path / f"{name}.swf.gz"
        path.write_bytes(data)
        with pytest.raises(LogError, match=rf"^{name}.swf.gz: the gzip data is truncated or damaged .*; fetch the log"):
            _swf(path)


def test_a_log_that_is_gzipped_is_seen_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(gzip.compress((LOGS / "small.swf").read_bytes()))
    assert len(_swf(path)) == 4


def test_a_missing_log_and_a_folder_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"^nope.swf: there is no such file; give the path .* bundled:NASA"):
        _swf(tmp_path / "nope.swf")
    with pytest.raises(LogError, match=r"the log can't be read \(Is a directory\); give a readable file"):
        _swf(tmp_path)


def test_a_log_without_a_usable_line_says_why(tmp_path: Path) -> None:
    path = tmp_path / "none.swf"
    path.write_text("; Note: nothing\n1 2 3\n")
    with pytest.raises(LogError, match=r"no line can be used: the line has not 18 fields \(1, first in line 2\)"):
        _swf(path)
    path.write_text("")
    with pytest.raises(LogError, match="the log is empty"):
        _swf(path)
    with pytest.raises(LogError, match="its first line names nothing"):
        _csv(path)


# --- what a producer makes of a log ------------------------------------------------------------------------


def test_a_trace_starts_with_its_first_job_unless_told_otherwise() -> None:
    assert _jobs(SMALL).put_at == [0, 20, 20, 300]
    assert _jobs({**SMALL, "origin": "log"}).put_at == [100, 120, 120, 400]
    scaled = _jobs({**SMALL, "time_scale": 0.125})
    assert scaled.put_at == [0, 2, 2, 38]  # 2.5 and 37.5, halves to even
    assert scaled.work == [300, 0, 125, 1000]


def test_limits_and_the_duration_leave_jobs_out_and_say_so() -> None:
    assert _jobs({**SMALL, "limit": 3}).left_out == {"beyond the limit": 1}
    assert len(_jobs({**SMALL, "limit": 3}, jobs=2)) == 2
    scenario = _scenario({**SMALL, "limit": 3})
    short = scenario.model_copy(update={"run": scenario.run.model_copy(update={"duration_seconds": 2.0})})
    assert read_traces(short)["log"].put_at == [0, 20, 20]  # at the duration is still in
    shorter = scenario.model_copy(update={"run": scenario.run.model_copy(update={"duration_seconds": 1.9})})
    jobs = read_traces(shorter)["log"]
    assert jobs.put_at == [0]
    assert jobs.summary() == {
        "file": "small.swf",
        "lines_read": 4,
        "used": 1,
        "left_out": {"beyond the limit": 1, "after run.duration_seconds": 2},
        "rejected": [],
        "out_of_order": 0,
    }


def test_the_notes_name_the_header_rejections_order_and_work_beyond_the_ttr() -> None:
    notes = trace_notes(_scenario(SMALL), {"log": _jobs(SMALL)})
    assert "small.swf: jobs with more work than their ttr of 50 s: 1" in notes
    broken = {"format": "swf", "file": "broken.swf"}
    notes = trace_notes(_scenario(broken), {"log": _jobs(broken)})
    assert "broken.swf: lines not used: 2 of 11, the run time is unknown or negative; the first is line 4" in notes
    assert "broken.swf: lines out of the order of their submit times, sorted: 2" in notes


def test_work_beyond_the_ttr_that_every_worker_gives_up_is_refused_when_the_run_waits_for_it() -> None:
    scenario = _scenario(SMALL)
    pool = scenario.workers[0].model_copy(update={"gives_up_at_ttr": True})
    hopeless = scenario.model_copy(update={"workers": (pool,)})
    with pytest.raises(ScenarioError, match=r"log.ttr_seconds = 50: 1 jobs of small.swf would never be done.*; raise"):
        read_traces(hopeless)
    for change in ({"max_attempts": 3}, {"touch_every_seconds": 49.0}, {"gives_up_at_ttr": False}):
        allowed = scenario.model_copy(update={"workers": (pool.model_copy(update=change),)})
        assert len(read_traces(allowed)["log"]) == 4
    ends = scenario.run.model_copy(update={"stop": "duration", "duration_seconds": 60.0})
    assert len(read_traces(hopeless.model_copy(update={"run": ends}))["log"]) == 4


def test_mappings_by_template_table_bins_and_as_it_is() -> None:
    jobs = _jobs(
        SMALL,
        tube={"from": "user", "template": "user-{value}"},
        priority={"from": "processors", "bins": [{"up_to": 1, "to": 5}, {"up_to": 4, "to": 6}], "default": 9},
        **{"class": {"from": "queue", "table": {"0": "quick"}, "default": "slow"}},
    )
    assert jobs.tubes == ["user-7", "user-8", "user-unknown", "user-7"]
    assert jobs.priorities == [6, 5, 9, 9]
    assert jobs.classes == ["quick", "slow", "quick", "slow"]
    csv = {"format": "csv", "file": "small.csv", "columns": {"submit": "when", "work": "seconds"}}
    jobs = _jobs(csv, tube={"from": "queue"}, priority={"from": "urgency", "default": 7})
    assert jobs.tubes == ["reports", "mail", "mail"]
    assert jobs.priorities == [20, 10, 7]
    assert jobs.classes == ["log"] * 3


@pytest.mark.parametrize(
    ("producer", "message"),
    [
        ({"tube": {"from": "queue", "table": {"0": "a"}}}, "line 10: queue = 1: gives no tube: the value is unknown"),
        ({"tube": {"from": "user"}}, r"line 13: user = \(unknown\): gives no tube"),
        ({"tube": {"from": "user", "template": "-{value}"}}, "line 9: user = 7: gives no tube: tube = '-7'"),
        ({"priority": {"from": "job", "bins": [{"up_to": 2, "to": -1}], "default": 0}}, "-1 is not from 0 to"),
        ({"priority": {"from": "job", "template": "p{value}"}}, "line 9: job = 1: gives no priority: invalid literal"),
        ({"class": {"from": "job", "template": "{value}" + "x" * 64}}, "a class is 1 to 64 printable characters"),
    ],
)
def test_a_value_without_a_place_in_its_mapping_names_the_line(producer: dict[str, Any], message: str) -> None:
    with pytest.raises(LogError, match=rf"^small.swf: .*{message}.*; change .*, or give its default$"):
        _jobs(SMALL, **producer)


def test_watch_patterns_become_the_tubes_of_the_run_in_order() -> None:
    mapped = {"tube": {"from": "user", "template": "user-{value}"}}
    scenario = _scenario(SMALL, watch=("user-*", "other"), **mapped)
    traces = read_traces(scenario)
    assert produced_tubes(scenario, traces) == ("user-7", "user-8", "user-unknown")
    assert watch_lists(scenario, traces) == {"workers": ("user-7", "user-8", "user-unknown", "other")}
    nowhere = _scenario(SMALL, watch=("usr-*",), **mapped)
    with pytest.raises(
        ScenarioError, match=r"workers.workers.watch.*no job is ever put.*; watch one of user-7, user-8"
    ):
        watch_lists(nowhere, traces)


# --- a share of a log ---------------------------------------------------------------------------------------

BUNDLED = {"format": "swf", "file": f"bundled:{NASA}"}


def _share(share: float, replication: int = 0, **more: Any) -> TraceJobs:
    fields: dict[str, Any] = {key: {"from": "user"} for key in ("tube", "class")}
    scenario = _scenario({**BUNDLED, "keep_share": share, **more}, **fields)
    return read_traces(scenario, replication)["log"]


def _rows(jobs: TraceJobs) -> list[tuple[int, int, str, str]]:
    assert jobs.work is not None
    return list(zip(jobs.put_at, jobs.work, jobs.tubes, jobs.classes, strict=True))


def test_a_share_keeps_jobs_as_they_are_and_a_greater_one_keeps_them_too() -> None:
    whole, half, third = (Counter(_rows(_share(share))) for share in (1.0, 0.5, 1 / 3))
    assert third < half < whole
    count = whole.total()
    assert count == 18_239
    for kept, share in ((half, 0.5), (third, 1 / 3)):
        assert abs(kept.total() - share * count) < 3.3 * (count * share * (1 - share)) ** 0.5


def test_shares_are_drawn_anew_in_each_replication_and_counted() -> None:
    jobs = _share(0.5)
    assert _rows(jobs) == _rows(_share(0.5)) != _rows(_share(0.5, replication=1))
    left_out = {"not in the share that is kept": 18_239 - len(jobs)}
    assert jobs.left_out == left_out
    limited = _share(0.5, limit=100, time_scale=0.25)
    assert limited.left_out == {**left_out, "beyond the limit": len(jobs) - 100}
    assert limited.put_at == [round(at * 0.25) for at in jobs.put_at[:100]]


def test_a_share_that_keeps_nothing_is_an_error() -> None:
    with pytest.raises(LogError, match=r"^small.swf: keep_share = 1e-09: keeps none of the 4 jobs; raise it, or"):
        _jobs({**SMALL, "keep_share": 1e-9})
