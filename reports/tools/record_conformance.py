"""Record what a beanstalkd answers to the scripts of `reports.tools.conversation_scripts`, for `jsm conform`.

    python -m reports.tools.record_conformance [--server CMD] [--runs N] [--out FILE]

Each script is played several times with a server of its own; a conversation whose replies differ between two runs is
an error. Values that depend on the moment get a tolerance, those that depend on the machine a mask. Names in statistics
are written with quotes, as later releases print them.
"""

import argparse
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from models.conformance_corpus import EOF_MARK
from models.conformance_match import matches, split_replies
from models.conformance_spawn import check_command, spawned
from reports.tools.conversation_scripts import Script, scripts

OUT: Final = Path(__file__).parent.parent.parent / "models" / "data" / "conformance" / "more.json"
SLACK_SECONDS: Final = 0.3
TOLERANCE: Final = {"age": 1, "time-left": 1, "pause-time-left": 1}
"""Seconds that a live server may be off; what it counts is exact."""

_MASKED: Final = re.compile(
    rb"^(pid|version|rusage-utime|rusage-stime|uptime|id|hostname|os|platform|binlog-max-size): .*$", re.MULTILINE
)
_NAME: Final = re.compile(rb"^(name|tube): ([^\"\n]*)$", re.MULTILINE)
_LINE: Final = re.compile(r"(?:\+(?P<wait>\d+) )?(?:(?P<conn>\d+) )?(?P<what>.*)", re.DOTALL)


def main(arguments: list[str] | None = None) -> int:
    """Record every script and write the file; 1 when a conversation can't be repeated."""
    parser = argparse.ArgumentParser(description="Record conversations with a beanstalkd.")
    parser.add_argument("--server", default="beanstalkd -l 127.0.0.1 -p {port}", help="how the server is started")
    parser.add_argument("--runs", type=int, default=3, help="how often each conversation is had")
    parser.add_argument("--out", type=Path, default=OUT, help="the file to write")
    given = parser.parse_args(arguments)
    words = check_command(given.server)

    def record(item: tuple[str, Script]) -> dict[str, Any]:
        name, script = item
        runs = [_record(script, words) for _ in range(given.runs)]
        problem = next((each for run in runs[1:] if (each := _disagreement(runs[0], run))), "")
        return {"name": f"more/{name}", "problem": problem, "steps": runs[0]}

    with ThreadPoolExecutor(8) as executor:
        conversations = list(executor.map(record, scripts()))
    problems = [f"{each['name']}: {each['problem']}" for each in conversations if each["problem"]]
    for line in problems:
        print(line, file=sys.stderr)  # noqa: T201 - a command
    if problems:
        return 1
    for each in conversations:
        del each["problem"]
    meta = {
        "server": "Debian's beanstalkd 1.12, no -b, names in statistics quoted as later releases do",
        "runs_compared": given.runs,
        "command": "python -m reports.tools.record_conformance",
    }
    given.out.write_text(json.dumps({"meta": meta, "conversations": conversations}, indent=1) + "\n", "utf-8")
    return 0


def _record(script: Script, words: tuple[str, ...]) -> list[dict[str, Any]]:
    """The steps of a script, with what this run's server answered."""
    steps = []
    with spawned(words) as player:
        for line in script:
            found = _LINE.fullmatch(line)
            if found is None:
                raise ValueError(line)
            wait, connection, what = int(found["wait"] or 0), int(found["conn"] or 0), found["what"]
            send = b""
            if wait:
                player.wait(wait, SLACK_SECONDS)
            if what == "!drain":
                player.drain()
            elif what == "!close":
                player.close(connection)
            elif what == "!shut":
                player.shut(connection)
            elif not what.startswith("!"):
                send = what.encode("latin-1") + b"\r\n"
                player.send(connection, send)
            reply = b""
            if send or what == "!recv":
                reply = player.pending(connection)
                if not reply.endswith(EOF_MARK):
                    player.read(connection, len(split_replies(reply)))
            elif what == "!none" and player.pending(connection):
                raise ValueError(f"{line}: {player.pending(connection)!r}")
            steps.append(_step(connection, wait, what.removeprefix("!") if not send else "send", send, _quoted(reply)))
    return steps


def _step(connection: int, wait: int, op: str, send: bytes, reply: bytes) -> dict[str, Any]:
    step: dict[str, Any] = {"conn": connection, "op": op, "wait": wait, "slack": SLACK_SECONDS if wait else 0}
    step["send"] = send.decode("latin-1")
    step["reply"] = reply.decode("latin-1")
    step["n_replies"] = len(split_replies(reply.removesuffix(EOF_MARK)))
    tolerance = {key: most for key, most in TOLERANCE.items() if f"\n{key}: ".encode() in reply}
    return {**step, "tolerance": tolerance} if tolerance else step


def _quoted(stream: bytes) -> bytes:
    """The replies with names quoted, and with masks."""
    mark = EOF_MARK if stream.endswith(EOF_MARK) else b""
    replies = []
    for reply in split_replies(stream.removesuffix(EOF_MARK)):
        line, _, body = reply.partition(b"\r\n")
        if line.startswith(b"OK ") and (b"\nname: " in body or b"\ntube: " in body):
            body = _NAME.sub(rb'\1: "\2"', body)
            replies.append(b"OK %d\r\n" % (len(body) - 2) + body)
        elif line.startswith(b"OK ") and b"\npid: " in body:
            replies.append(b"OK {{n}}\r\n" + _MASKED.sub(rb"\1: {{volatile}}", body))
        else:
            replies.append(reply)
    return b"".join(replies) + mark


def _disagreement(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> str:
    """Where two runs of a script differ by more than their tolerances."""
    for number, (one, other) in enumerate(zip(first, second, strict=True), start=1):
        expected = one["reply"].encode("latin-1")
        got = other["reply"].encode("latin-1")
        if expected != got and not matches(expected, got, one.get("tolerance", {})):
            return f"step {number}: {one['send']!r}: {one['reply']!r} and {other['reply']!r}"
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
