"""Runs the test-suites of clients in several languages with our server as their beanstalkd, and writes the report.

    python -m reports.tools.clients FOLDER [--out reports] [--only NAME …]

Each suite is in a folder of FOLDER, and fetched and prepared there when it is not. It runs with `jsm-beanstalkd` and
then with Debian's `beanstalkd`: what fails with both is the suite's. Nothing else may listen on port 11300.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from reports.tools.client_suites import PACKAGES, SUITES, Outcome, Suite

COMMAND: Final = "python -m reports.tools.clients FOLDER --out reports"
PORT: Final = 11300
SUITE_SECONDS_MAX: Final = 600
RUNS_MAX: Final = 3
"""How often a suite runs at most, when tests of it fail: some draw random bodies, which their client can't all read."""
OURS: Final = Path(sys.executable).with_name("jsm-beanstalkd")
SERVERS: Final = {"jsm-beanstalkd": str(OURS), "beanstalkd": "beanstalkd"}


class Row(NamedTuple):
    """What came of one suite: by the server's name."""

    suite: Suite
    version: str
    outcomes: dict[str, Outcome]
    runs: dict[str, int]  # of which the last one counts

    @property
    def ours_alone(self) -> list[str]:
        """The tests that fail with our server and pass with Debian's."""
        ours, debians = (self.outcomes[name][1] for name in SERVERS)
        return [name for name in ours if name not in debians]


def prepare(suite: Suite, folder: Path) -> None:
    """Fetch a suite and install what it needs, unless that was done before."""
    if not folder.exists():
        if not suite.source.startswith("https://"):
            raise SystemExit(f"{folder} is not there: unpack {suite.source} there")
        subprocess.run(["git", "clone", "-q", suite.source, str(folder)], check=True)
        subprocess.run(["git", "-C", str(folder), "checkout", "-q", suite.commit], check=True)
    done = folder / ".prepared"
    if not done.exists():
        for line in suite.prepare:
            subprocess.run(line, shell=True, cwd=folder, check=True)
        done.touch()
    for name, text in suite.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@contextmanager
def server(program: str, options: Sequence[str], where: "int | str") -> Iterator[None]:
    """A server on a port or a Unix socket."""
    listen = ["-l", "127.0.0.1", "-p", str(where)] if isinstance(where, int) else ["-l", f"unix:{where}"]
    process = subprocess.Popen([program, *listen, *options], stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with suppress(OSError), _connection(where):
                break
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def _connection(where: "int | str") -> socket.socket:
    if isinstance(where, int):
        return socket.create_connection(("127.0.0.1", where), timeout=1)
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(where)
    except OSError:
        probe.close()
        raise
    return probe


def run_until_it_passes(suite: Suite, folder: Path, program: str) -> tuple[Outcome, int]:
    """Run a suite with a server, again while tests fail; the last outcome, and how many runs there were."""
    runs, outcome = 1, run(suite, folder, program)
    while outcome[1] and runs < RUNS_MAX:
        runs, outcome = runs + 1, run(suite, folder, program)
    return outcome, runs


def run(suite: Suite, folder: Path, program: str) -> Outcome:
    """Run a suite with a server; what it printed goes into a file beside it."""
    path = folder / ".server.sock"
    environment = {**os.environ, "BEANSTALKD": program, "UNIX_PATH": str(path), "NO_COLOR": "1"}
    with _servers(suite, program, path):
        done = subprocess.run(
            suite.run,
            shell=True,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=SUITE_SECONDS_MAX,
            check=False,
        )
    (folder / f".printed-{Path(program).name}").write_text(done.stdout, encoding="utf-8")
    passed, failed = suite.read(done.stdout)
    if not passed:
        raise SystemExit(f"{suite.name} ran no test:\n{done.stdout[-3000:]}")
    return passed, failed


@contextmanager
def _servers(suite: Suite, program: str, path: Path) -> Iterator[None]:
    if suite.starts_server:
        yield
        return
    with server(program, suite.options.split(), PORT):
        if suite.needs_path:
            with server(program, (), str(path)):
                yield
        else:
            yield


def _version(suite: Suite, folder: Path) -> str:
    if not (folder / ".git").exists():
        return suite.source
    words = ["git", "-C", str(folder), "log", "-1", "--format=%h, %cs"]
    at = subprocess.run(words, capture_output=True, encoding="utf-8", check=True).stdout.strip()
    return f"{suite.source.removeprefix('https://github.com/')} {at}"


def _cell(row: Row, name: str) -> str:
    passed, failed = row.outcomes[name]
    again = f", run {row.runs[name]}" if row.runs[name] > 1 else ""
    return f"{passed} of {passed + len(failed)}{again}"


def table(rows: Sequence[Row], versions: Sequence[str]) -> str:
    """The report."""
    lines = [
        "# Clients' own test-suites",
        "",
        f"Written by `{COMMAND}`. Each suite runs unchanged, once with `jsm-beanstalkd` as its beanstalkd and",
        f"once with Debian's ({'; '.join(versions)}). What fails with both is the suite's own. A suite with",
        f"failures runs up to {RUNS_MAX} times, and the last run counts: some draw random bodies, not all of which",
        "their client can read.",
        "",
        "| client | language | version | jsm-beanstalkd | beanstalkd | fails with ours alone |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for row in rows:
        ours, debians = (_cell(row, name) for name in SERVERS)
        alone = len(row.ours_alone) or "none"
        lines.append(f"| {row.suite.name} | {row.suite.language} | {row.version} | {ours} | {debians} | {alone} |")
    lines += ["", "What fails, now or sometimes:", ""]
    for row in rows:
        ours_failed, debians_failed = (row.outcomes[name][1] for name in SERVERS)
        failed = [*row.ours_alone, *debians_failed]
        where = {True: "with both", False: "with Debian's alone"}
        told = [
            f"{test} ({'with ours alone' if test in row.ours_alone else where[test in ours_failed]})" for test in failed
        ]
        if told or row.suite.note:
            why = [row.suite.note] if row.suite.note else []
            lines.append(f"- {row.suite.name}: {': '.join([*why, ', '.join(told)]).removesuffix(': ')}")
    lines += ["", "To repeat it on Debian 12, besides `make setup`:", "", "```sh", f"apt-get install {PACKAGES}", "```"]
    lines += ["", "Then, for each, in its folder (the command above does it):", ""]
    lines += ["| client | prepared by | run by |", "| --- | --- | --- |"]
    for suite in (row.suite for row in rows):
        prepared = "; ".join(f"`{line}`" for line in suite.prepare) or "-"
        lines.append(f"| {suite.name} | {prepared} | `{suite.run.replace('|', chr(92) + '|')}` |")
    return "\n".join(lines) + "\n"


def _server_version(program: str) -> str:
    text = subprocess.run([program, "-v"], capture_output=True, encoding="utf-8", check=True).stdout
    return re.sub(r"\s+", " ", text).strip()


def main(arguments: list[str] | None = None) -> None:
    """Run the suites and print or write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where the suites are, or are put")
    parser.add_argument("--out", type=Path, help="write clients.md into this folder")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these alone")
    options = parser.parse_args(arguments)
    if shutil.which("beanstalkd") is None:
        raise SystemExit(f"beanstalkd is not installed: apt-get install {PACKAGES}")
    rows = []
    for suite in SUITES:
        if options.only and suite.name not in options.only:
            continue
        folder = options.folder.resolve() / re.sub(r"[^a-z0-9]+", "-", suite.name.lower()).strip("-")
        prepare(suite, folder)
        came = {name: run_until_it_passes(suite, folder, program) for name, program in SERVERS.items()}
        outcomes = {name: outcome for name, (outcome, _) in came.items()}
        runs = {name: count for name, (_, count) in came.items()}
        rows.append(Row(suite, _version(suite, folder), outcomes, runs))
        sys.stderr.write(f"{suite.name}: {', '.join(f'{name} {_cell(rows[-1], name)}' for name in SERVERS)}\n")
    text = table(rows, [_server_version(program) for program in SERVERS.values()])
    sys.stdout.write(text)
    if options.out is not None:
        (options.out / "clients.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
