"""`jsm verify`: files, standard input, packed or not; exit codes; one line a bad input; what simulate records."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run

import pytest
import typer
from typer.testing import CliRunner, Result

from jsm.journal import write_snapshot_file
from jsm.machine import Machine
from models import verify_input
from models.report_formats import ReportFormat
from models.verify_cli import verify

APP = typer.Typer()
APP.command()(verify)

TRACES = Path(__file__).parent / "data" / "traces"
STORY = TRACES / "story.jsonl"
WRONG = TRACES / "not_the_owner.jsonl"
HEADER = b'{"format":"jsm-trace","version":1,"units_per_second":1}\n'


def jsm_verify(*arguments: object, given: bytes | None = None) -> Result:
    return CliRunner().invoke(APP, [str(argument) for argument in arguments], input=given)


def refused(*arguments: object, given: bytes | None = None) -> str:
    """The one line that a bad input gets; nothing is written to standard output."""
    result = jsm_verify(*arguments, given=given)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("jsm verify: ")
    return line.removeprefix("jsm verify: ")


def test_a_good_trace_holds() -> None:
    result = jsm_verify(STORY)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{STORY}: holds\n  45 records: ")


def test_a_bad_trace_is_violated_and_explained() -> None:
    result = jsm_verify(WRONG)
    assert (result.exit_code, result.stderr) == (1, "")
    assert f"{WRONG}:7: calls_end_as_specified (SPEC 3)\n" in result.stdout
    assert "  accepted  5 records, up to line 6\n" in result.stdout
    assert "  expected  refused, unauthorized: job 1 is not reserved by client 'b'\n" in result.stdout
    assert "    touch by 'b': refused, job 1 is reserved by 'a' until 5\n" in result.stdout
    assert "    touch by 'a': possible, it leads to reserved\n" in result.stdout


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_and_packed_files(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    content = pack(STORY.read_bytes())
    result = jsm_verify("-", given=content)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "standard input: holds")
    path = tmp_path / "any name"
    path.write_bytes(content)
    assert jsm_verify(path).exit_code == 0


def test_a_foreign_trace_from_the_middle() -> None:
    result = jsm_verify(TRACES / "foreign.jsonl")
    assert result.exit_code == 0
    assert "1 job live at the end of what was read, 1 adopted" in result.stdout
    assert "note: Not compared, since the trace doesn't have it: seq, client." in result.stdout
    whole = (TRACES / "foreign.jsonl").read_bytes().replace(b'"begins": "middle", ', b"")
    assert jsm_verify("-", given=whole).exit_code == 1
    assert jsm_verify("-", "--from-middle", given=whole).exit_code == 0


def test_nothing_to_check_is_undetermined() -> None:
    result = jsm_verify("-", given=HEADER)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (3, "  note: The trace has a header and no record.")


def test_all_goes_on() -> None:
    text = STORY.read_bytes().replace(b'"refused": "missing"', b'"refused": "missing"')
    spoilt = text.replace(b'{"ok":["default","u"', b'{"ok":["u"').replace(
        b'"refused":"unauthorized"', b'"refused":"missing"'
    )
    one, more = jsm_verify("-", "--json", given=spoilt), jsm_verify("-", "--json", "--all", given=spoilt)
    assert (one.exit_code, more.exit_code) == (1, 1)
    assert [len(json.loads(each.stdout)["findings"]) for each in (one, more)] == [1, 2]


@pytest.mark.parametrize("form", list(ReportFormat))
def test_out_is_written_whole_and_the_exit_code_stays(form: ReportFormat, tmp_path: Path) -> None:
    path = tmp_path / "report"
    shown = jsm_verify(WRONG, "--format", form)
    written = jsm_verify(WRONG, "--format", form, "--out", path)
    assert (written.exit_code, written.stdout) == (1, "")
    assert written.stderr == f"{WRONG}: violated; wrote {path}\n"
    assert path.read_text("utf-8") == shown.stdout
    assert list(tmp_path.iterdir()) == [path]
    assert jsm_verify(WRONG, "--format", form, "--out", path, "--quiet").output == ""


def test_json_and_quiet() -> None:
    assert json.loads(jsm_verify(STORY, "--json").stdout) == json.loads(jsm_verify(STORY, "--format", "json").stdout)
    assert json.loads(jsm_verify(STORY, "--json", "--quiet").stdout)["verdict"] == "holds"
    quiet = jsm_verify(WRONG, "--quiet")
    assert (quiet.exit_code, quiet.output) == (1, "")


def test_a_snapshot_is_where_a_trace_begins(tmp_path: Path) -> None:
    machine = Machine()
    machine.put(3, priority=0, delay_seconds=0, ttr_seconds=9, body=b"", tube="t")  # type: ignore[arg-type]
    write_snapshot_file(tmp_path / "start", machine.snapshot())
    args = b'{"now":4,"job_id":1,"client_id":"a"}'
    record = b'{"seq":2,"at":4,"client":"a","op":"delete","args":%s,"outcome":{"ok":null}}\n' % args
    assert jsm_verify("-", given=HEADER + record).exit_code == 1
    assert jsm_verify("-", "--snapshot", tmp_path / "start", given=HEADER + record).exit_code == 0
    line = refused("-", "--snapshot", STORY, given=HEADER + record)
    assert line.startswith(f"--snapshot: {STORY}, line 1, byte 0: ")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "standard input:1: text = '': expected a header, "),
        (b"\n", "standard input:1: text = '\\n': expected one JSON object; remove empty lines"),
        (b"{}\n", "standard input:1: format = nothing (the field is missing): expected \"jsm-trace\""),
        (HEADER.replace(b"1,", b"2,", 1), "standard input:1: version = 2: expected 1, the one that this program reads"),
        (HEADER + b"no JSON\n", "standard input:2: text = 'no JSON\\n': expected one JSON object ("),
        (HEADER + b'{"seq":1,', "standard input:2: text = '{\"seq\":1,': expected a whole line; the trace is cut off"),
        (HEADER + b'{"seq":1}\n', "standard input:2: record = {'seq': 1}: expected a record with the field op"),
        (b"\x7fELF\x02\x01\xff\xfe\n", "standard input:1: text = b'\\x7fELF\\x02\\x01\\xff\\xfe\\n': expected UTF-8 ("),
        (b"\x1f\x8b\x08\x00", "standard input: the packed file is damaged ("),
        (gzip.compress(STORY.read_bytes())[:300], "standard input: the packed file is damaged ("),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_with_its_place(content: bytes, line: str) -> None:
    assert refused("-", given=content).startswith(line)


def test_a_cut_off_file_says_where() -> None:
    path = TRACES / "cut_off.jsonl"
    last = len(path.read_bytes().splitlines())
    assert refused(path).startswith(f"{path}:{last}: text = ")
    assert refused(path).endswith("expected a whole line; the trace is cut off here")


def test_bad_files_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing"
    assert refused(missing) == f"{missing}: No such file or directory; name a trace that can be read, or -"
    assert refused(tmp_path).startswith(f"{tmp_path}: Is a directory; ")
    assert refused(STORY, "--json", "--format", "sarif").startswith("--json and --format sarif exclude each other")
    assert refused(STORY, "--snapshot", STORY, "--from-middle").startswith("--snapshot and --from-middle exclude")
    assert refused(STORY, "--lateness", 3) == "--lateness 3: is for histories, and this is a trace; leave it out"
    assert refused(STORY, "--allow", "KB-1") == "--allow KB-1: is for histories, and this is a trace; leave it out"
    out = tmp_path / "no folder" / "report"
    assert refused(STORY, "--out", out).startswith(f"--out {out}: No such file or directory; ")
    monkeypatch.setattr(verify_input, "LINE_BYTES_MAX", 50)
    assert refused(STORY).startswith(f"{STORY}:1: text = ")


def test_what_simulate_records_holds(tmp_path: Path) -> None:
    """A small run of every kind of event, through the command line from the scenario to the verdict."""
    jsm = [sys.executable, "-m", "jsm"]
    settings = ["--set", "run.duration_seconds=40", "--set", "run.warmup_seconds=0"]
    out = tmp_path / "out"
    done = run(
        [*jsm, "simulate", "steady", "--trace", "--no-plots", "--quiet", "--out", str(out), *settings],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    done = run(
        [*jsm, "verify", str(out / "trace.jsonl"), "--json"], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    counts = json.loads(done.stdout)["counts"]
    assert counts["repeated"] == counts["calls"] > 100
    assert counts["compared"] == counts["transitions"] > 100
