"""The fuzz: `python -m tests.fuzz [--seconds N] [--seed S] [--spawn CMD]`, for hours if wanted.

In virtual time against this project's sessions (`tests.fuzz_virtual`); with `--spawn` against a server on a socket,
whose replies are compared with those of the sessions (`tests.fuzz_live`). A failure prints the seed and the shortest
script that still fails; the same seed finds it again.
"""

import argparse
import sys
import time
from collections.abc import Callable

from tests import fuzz_live, fuzz_virtual
from tests.fuzz_bytes import Action, Writer

LENGTH = 60


def virtual_failure(seed: int) -> str:
    """Play the script of a seed in every way; what is wrong, with the shortest script that shows it, or nothing."""
    script = Writer(seed).script(LENGTH)
    machine = "checked" if seed % 10 == 0 else "plain"

    def what_fails(actions: list[Action]) -> str:
        try:
            fuzz_virtual.check_script(actions, seed, machine=machine)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    return _told(seed, script, what_fails)


def live_failure(seed: int, words: tuple[str, ...]) -> str:
    """Play the plain script of a seed with a server; where it differs, or nothing."""
    script = Writer(seed, is_plain=True).script(LENGTH)
    return _told(seed, script, lambda actions: fuzz_live.difference(actions, words))


def _told(seed: int, script: list[Action], what_fails: Callable[[list[Action]], str]) -> str:
    first = what_fails(script)
    if not first:
        return ""
    kind = first.partition(":")[0]
    small = fuzz_virtual.shortest(script, lambda actions: what_fails(actions).startswith(kind))
    lines = [f"seed {seed}: {what_fails(small) or first}", *(f"  {action}" for action in small)]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Play scripts until the time is over or one fails; 1 when one does."""
    parser = argparse.ArgumentParser(description="Random bytes and times, until something that must hold does not.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; the next script has the next one")
    parser.add_argument("--spawn", help="compare with a server on a socket: 'beanstalkd -p {port}'")
    given = parser.parse_args(arguments)
    words = fuzz_live.words_of(given.spawn) if given.spawn else ()
    deadline = time.monotonic() + given.seconds
    seed = given.seed
    while time.monotonic() < deadline:
        failure = live_failure(seed, words) if words else virtual_failure(seed)
        if failure:
            print(failure, file=sys.stderr)  # noqa: T201 - a command
            return 1
        seed += 1
    print(f"{seed - given.seed} scripts, seeds {given.seed} to {seed - 1}: nothing found")  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
