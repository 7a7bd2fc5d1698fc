"""The server's command line: beanstalkd's flags as beanstalkd reads them, and one clear line for what is wrong."""

from fractions import Fraction

import pytest

from jsm.wire.options import Given, ServeOptions, UsageError, check_options, read_flags


def options(*words: str) -> ServeOptions:
    return check_options(read_flags(words))


def test_without_flags_it_does_what_beanstalkd_does() -> None:
    assert options() == ServeOptions(
        address=("0.0.0.0", 11300),
        max_job_size=65535,
        folder=None,
        sync_ms=50,
        file_size=10485760,
        user=None,
        talk=0,
        factor=Fraction(1),
        clock_port=None,
        trace=None,
        loop="auto",
        json=False,
        quiet=False,
        warnings=(),
    )


def test_a_value_stands_in_the_same_word_or_in_the_next() -> None:
    assert options("-p11301", "-l", "127.0.0.1").address == ("127.0.0.1", 11301)
    assert options("-p", "11301", "-l127.0.0.1").address == ("127.0.0.1", 11301)
    assert options("--clock=manual", "--clock-port", "7").clock_port == 7


def test_letters_may_share_a_dash() -> None:
    found = options("-VVp11301", "-FVb", "folder")
    assert (found.talk, found.address, found.sync_ms, found.folder) == (3, ("0.0.0.0", 11301), None, "folder")


def test_of_two_values_the_last_counts() -> None:
    assert options("-p", "1", "-p", "2").address == ("0.0.0.0", 2)
    assert options("-b", "x", "-F", "-f", "0").sync_ms == 0
    assert options("-b", "x", "-f", "0", "-F").sync_ms is None


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("::1", ("::1", 9)),
        ("[::1]", ("::1", 9)),
        ("localhost", ("localhost", 9)),
        ("unix:jsm.sock", "jsm.sock"),
        ("unix:" + 107 * "x", 107 * "x"),
    ],
)
def test_where_it_listens(host: str, address: tuple[str, int] | str) -> None:
    assert options("-l", host, "-p", "9").address == address


def test_a_size_of_files_is_rounded_up_to_whole_blocks() -> None:
    assert options("-b", "x", "-s", "1").file_size == 4096
    assert options("-b", "x", "-s", "4096").file_size == 4096
    assert options("-b", "x", "-s", "4097").file_size == 8192


def test_a_larger_job_size_than_allowed_is_lowered_and_said() -> None:
    found = options("-z", "99999999999")
    assert found.max_job_size == 1073741824
    assert found.warnings == ("-z = 99999999999: lowered to 1073741824, the most that is allowed",)
    assert options("-z", "1073741824").warnings == ()
    assert options("-z0").max_job_size == 0


def test_flags_that_do_nothing_are_accepted_and_said() -> None:
    assert options("-cn").warnings == (
        "-c does nothing: the journal is always compacted",
        "-n does nothing: the journal is always compacted",
    )
    assert options("-F").warnings == ("-s, -f and -F do nothing without -b, the folder of a journal",)
    assert options("-F", "-b", "x").warnings == ()


def test_a_wish_for_version_or_help_ends_the_reading() -> None:
    assert read_flags(["-p", "1", "-v", "--nothing"]) == Given(version=True)
    assert read_flags(["-Vh", "--nothing"]) == Given(help=True)
    assert read_flags(["--version"]).version
    assert read_flags(["--help"]).help


@pytest.mark.parametrize(
    ("clock", "factor"),
    [("real", 1), ("scaled:60", 60), ("scaled:0.5", Fraction(1, 2)), ("scaled:1000000", 1_000_000), ("manual", None)],
)
def test_clocks(clock: str, factor: Fraction | None) -> None:
    assert options("--clock", clock).factor == factor
    assert options("--clock", clock).clock_port == (0 if clock == "manual" else None)


REFUSALS = {
    "-x": "option = '-x': expected one of -p -l ",
    "-": "option = '-': expected one of -p -l ",
    "more": "option = 'more': expected one of -p -l ",
    "-Vx": "option = '-x': expected one of -p -l ",
    "--clocks": "option = '--clocks': expected one of -p -l ",
    "--json=1": "option = '--json=1': expected one of -p -l ",
    "-p": "-p = '': expected a value behind it, as in: -p 11300",
    "--trace": "--trace = '': expected a value behind it, as in: --trace trace.jsonl",
    "-p 65536": "-p = '65536': expected a port from 0 to 65535; 0 lets the system choose one",
    "-p -1": "-p = '-1': expected a port",
    "-p +1": "-p = '+1': expected a port",
    "-p 1_0": "-p = '1_0': expected a port",
    "-p \u0661": "-p = '\u0661': expected a port",
    "-z abc": "-z = 'abc': expected a whole number of bytes, at least 0, as in: -z 65535",
    "-z 1k": "-z = '1k': expected",
    "-s 0": "-s = '0': expected 1 to 1099511627776 bytes, in digits, as in: -s 10485760",
    "-f -1": "-f = '-1': expected 0 to 86400000 milliseconds, in digits, as in: -f 50",
    "-f 1.5": "-f = '1.5': expected 0 to 86400000 milliseconds",
    "-l unix:": "-l = 'unix:': expected a path of 1 to 107 bytes behind unix:",
    "-l unix:" + 108 * "x": "-l = 'unix:xxx",
    "-l []": "-l = '': expected an address, a host name or unix:PATH, as in: -l 127.0.0.1",
    "--clock fast": "--clock = 'fast': expected real, manual, or scaled:N with N above 0 and at most 1000000",
    "--clock scaled:0": "--clock = 'scaled:0': expected real, manual, or scaled:N",
    "--clock scaled:1000001": "--clock = 'scaled:1000001': expected real, manual, or scaled:N",
    "--clock scaled:-1": "--clock = 'scaled:-1': expected real, manual, or scaled:N",
    "--clock-port 1": "--clock-port = '1': expected --clock manual beside it: no other clock can be advanced",
    "--clock manual --clock-port x": "--clock-port = 'x': expected a port from 0 to 65535",
    "--loop fast": "--loop = 'fast': expected one of auto, asyncio, uvloop",
    "--trace=": "--trace = '': expected a name; leave the option out if there is none",
}


@pytest.mark.parametrize("line", list(REFUSALS))
def test_what_is_wrong_is_one_line(line: str) -> None:
    with pytest.raises(UsageError) as refused:
        options(*line.split())
    assert str(refused.value).startswith(REFUSALS[line])
    assert "\n" not in str(refused.value)


def test_a_single_letters_value_may_begin_with_anything() -> None:
    assert options("-b=").folder == "="
    assert options("-b", "-p").folder == "-p"
