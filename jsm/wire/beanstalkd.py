"""The command `jsm-beanstalkd`: the server with beanstalkd's flags, for who starts a beanstalkd.

`jsm serve` is the same server behind the door of the project's other commands.
"""

import sys
from typing import Final

from jsm.errors import JsmError
from jsm.limits import MAX_JOB_SIZE
from jsm.wire.host import version_text
from jsm.wire.options import (
    FILE_SIZE,
    HOST,
    JOB_SIZE_LIMIT,
    PORT,
    SYNC_MS,
    check_options,
    read_flags,
)
from jsm.wire.serving import run_server

PROGRAM: Final = "jsm-beanstalkd"

HELP: Final = f"""\
Usage: {PROGRAM} [OPTIONS]

  A beanstalkd made of the job state machine.

Options:
  -l ADDR        listen there: an address, a name, or unix:PATH  [{HOST}]
  -p PORT        listen on that port; 0 lets the system choose  [{PORT}]
  -u USER        become that user once the port is open
  -z BYTES       the greatest size of a job, at most {JOB_SIZE_LIMIT}  [{MAX_JOB_SIZE}]
  -b DIR         keep jobs in a journal in that folder, and begin with the jobs in it
  -f MS          force the journal to the disk at most once in that time; 0: before every reply  [{SYNC_MS}]
  -F             never force the journal to the disk
  -s BYTES       the size of a file of the journal  [{FILE_SIZE}]
  -c, -n         do nothing: the journal is always compacted
  -V             tell more; twice: also who comes and goes
  -v, --version  print the version and exit
  -h, --help     print this and exit
  --clock CLOCK  real; scaled:N, N times as fast; or manual  [real]
  --clock-port PORT
                 where a manual clock is moved; 0 lets the system choose  [0]
  --trace FILE   write every call and transition there, for jsm verify
  --loop LOOP    auto, asyncio or uvloop  [auto]
  --json         say where it listens as a JSON document
  --quiet        don't say where it listens

SIGUSR1 refuses puts from then on, SIGTERM ends the server.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command line, `sys.argv` unless one is given, and return the exit code."""
    try:
        given = read_flags(sys.argv[1:] if arguments is None else arguments)
        if given.version:
            print(f"beanstalkd {version_text()}")
            return 0
        if given.help:
            print(HELP, end="")
            return 0
        options = check_options(given)
    except JsmError as error:
        print(f"{PROGRAM}: {error}; {PROGRAM} -h lists what there is", file=sys.stderr)
        return 2
    return run_server(options, program=PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
