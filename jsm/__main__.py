"""The door: `jsm COMMAND`, the one file of `jsm/` that knows the rooms `sim` and `models`, and only by name.

A room is imported when one of its commands is called, so that `jsm --help` answers at once and the machine alone
can be installed without the rest.
"""

import sys
from importlib import import_module, metadata
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup


class Room(NamedTuple):
    """Where a command is, which extra of the package it needs, and what it is for, in a line."""

    module: str
    extra: str
    purpose: str


COMMANDS: Final = {
    "simulate": Room("sim.cli", "sim", "Run a scenario: producers, workers, the machine; measured, checked, drawn."),
    "sweep": Room(
        "sim.sweep_cli", "sim", "Run a scenario on a grid, or find how many workers a goal needs; with intervals."
    ),
    "check": Room(
        "models.check_cli", "check", "Visit every state of a small world: does every history keep the protocol?"
    ),
    "graph": Room("models.cli", "check", "Draw the state diagram that everything is checked against."),
    "verify": Room("models.verify_cli", "check", "Check a trace of any implementation, record by record."),
    "conform": Room(
        "models.conform_cli", "check", "Play recorded conversations to a beanstalkd and compare every reply."
    ),
    "replay": Room("models.replay_cli", "check", "Make the calls of a journal or trace again: what differs?"),
    "serve": Room("jsm.wire.cli", "serve", "Serve beanstalkd's protocol, under a clock of your choice."),
}
"""The commands, by the name of the function in their room."""

_OURS: Final = ("jsm", "sim", "models")
_BadUsage: Final[Any] = typer.BadParameter.__base__  # the usage error of which typer exports one kind only


class Door(TyperGroup):
    """The group of commands; a command is imported when it is used, not when it is listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, its room imported; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        function = getattr(import_module(COMMANDS[cmd_name].module), cmd_name)
        room = typer.Typer(add_completion=False, rich_markup_mode=None)
        room.command(cmd_name)(function)
        return typer.main.get_command(room)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, room.purpose) for name, room in COMMANDS.items()])


app = typer.Typer(cls=Door, rich_markup_mode=None, add_completion=True, context_settings={"max_content_width": 100})


@app.callback(invoke_without_command=True)
def door(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """The beanstalkd job state machine: specified, simulated, checked.

    Exit codes of every command: 0 done and everything holds, 1 a property was violated, 2 bad input, 3 undetermined,
    130 interrupted (what was finished is kept).
    """
    if version:
        print(f"jsm {version_of_package()}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def version_of_package() -> str:
    """The version that is installed; "unknown" when the files are used without an installation."""
    try:
        return metadata.version("beanstalk-jsm")
    except metadata.PackageNotFoundError:
        return "unknown"


def main(arguments: list[str] | None = None) -> int:
    """Run a command line, `sys.argv` unless one is given, and return the exit code.

    What is wrong with it is one line on standard error and exit code 2.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter shows a ? in its place
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = typer.main.get_command(app).main(given, prog_name="jsm", standalone_mode=False)
    except _BadUsage as error:
        path = "jsm" if error.ctx is None else error.ctx.command_path
        return _refuse(path, f"{_lower(error.format_message())}; {path} --help lists what there is")
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name in _OURS or not name:
            raise
        command = next((word for word in given if word in COMMANDS), "")
        extra = COMMANDS[command].extra if command else "all"
        remedy = f"install it with: pip install 'beanstalk-jsm[{extra}]'"
        return _refuse(f"jsm {command}".strip(), f"needs {name}, which is not installed; {remedy}")
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return code if isinstance(code, int) else 0


def _refuse(path: str, message: str) -> int:
    print(f"{path}: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _lower(message: str) -> str:
    """A sentence of typer's as the middle of a line."""
    return message[:1].lower() + message[1:].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
