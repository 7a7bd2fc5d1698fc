"""The commands `jsm serve` and `jsm-beanstalkd`: what they print, which signals they obey, how they refuse."""

import json
import os
import pwd
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from jsm.wire.beanstalkd import HELP, main
from jsm.wire.host import PROTOCOL_RELEASE, version_text
from models.verify import verify_trace
from tests.server_processes import BEANSTALKD, ROOT, SERVE, refused, server_process


def answers(path: Path) -> bool:
    """Whether a server listens there: the path is there a moment before."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("command", [BEANSTALKD, SERVE])
def test_it_says_where_it_listens_and_ends_when_it_is_told_to(command: tuple[str, ...]) -> None:
    with server_process(command=(*command, "-l", "127.0.0.1", "-p", "0")) as server:
        assert server.lines[0].startswith("listening on 127.0.0.1:")
        client = server.connect()
        assert client.ask("put 1 0 60 1\r\na") == "INSERTED 1"
        assert server.stop() == (0, "")


def test_as_a_json_document() -> None:
    with server_process("--json", "--clock", "manual") as server:
        said = json.loads(server.lines[0])
        assert said["address"] == f"127.0.0.1:{said['port']}"
        assert said["clock_address"] == f"127.0.0.1:{said['clock_port']}"
        assert (said["host"], said["pid"]) == ("127.0.0.1", server.process.pid)
        assert server.stop(signal.SIGINT) == (130, "")


def test_quietly_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "jsm.sock"
    with server_process("--quiet", "-l", f"unix:{path}", command=BEANSTALKD, lines=0) as server:
        until(lambda: answers(path))
        server.lines = [f"listening on unix:{path}"]
        assert server.connect().ask("use a") == "USING a"
        assert refused("-l", f"unix:{path}") == (
            f"jsm-beanstalkd: can't listen on unix:{path}: a server answers there; stop it, or choose another path"
        )
        assert server.stop() == (0, "")
    assert not path.exists()


def test_drain_on_sigusr1_and_talk() -> None:
    with server_process("-VV", "--loop", "asyncio") as server:
        client = server.connect()
        assert client.ask("put 1 0 60 1\r\na") == "INSERTED 1"
        server.process.send_signal(signal.SIGUSR1)
        until(lambda: client.ask("put 1 0 60 1\r\na") == "DRAINING")
        assert client.ask("delete 1") == "DELETED"
        code, said = server.stop()
    assert code == 0
    lines = [line.removeprefix("jsm-beanstalkd: ") for line in said.splitlines()]
    assert lines[0] == f"process {server.process.pid}"
    assert lines[2] == "the loop is asyncio.unix_events"
    assert lines[3].startswith("c1 comes from 127.0.0.1:")
    assert lines[4] == "draining: every put is refused from now on"
    assert lines[-1] == "stopped"


def test_a_clock_that_is_moved_by_hand_and_a_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    with server_process("--clock", "manual", "--trace", str(trace), "-z", "10", lines=2) as server:
        client, clock = server.connect(), server.clock()
        assert client.ask("put 1 0 3600 1\r\na") == "INSERTED 1"
        assert client.ask("put 1 0 3600 11\r\nhello world") == "JOB_TOO_BIG"
        assert client.ask("reserve") == "RESERVED 1 1"
        assert client.line() == "a"
        assert clock.ask("now") == "0"
        assert clock.ask("advance 3599.5") == "OK 3599.5"
        assert client.ask("reserve") == "DEADLINE_SOON"
        assert clock.ask("advance 0.5") == "OK 3600"
        assert client.ask("release 1 1 0") == "NOT_FOUND"
        assert client.ask("stats").startswith("OK ")
        while client.line():
            pass
        assert server.stop() == (0, "")
    with trace.open("rb") as lines:
        report = verify_trace(lines)
    assert (report.verdict, report.transitions) == ("holds", 3)
    line = refused("--trace", str(trace))  # a long path is cut
    assert line.startswith(f"jsm-beanstalkd: --trace = '{str(trace)[:40]}")
    assert line.endswith(": expected a file that isn't there yet; name another one, or remove it")


def test_a_clock_that_goes_faster() -> None:
    with server_process("--clock", "scaled:100") as server:
        begin = time.monotonic()
        assert server.connect().ask("reserve-with-timeout 10") == "TIMED_OUT"
        assert 0.1 <= time.monotonic() - begin < 5


def test_a_journal_keeps_jobs_and_lets_one_server_in(tmp_path: Path) -> None:
    trace = tmp_path.parent / "trace.jsonl"
    with server_process("-b", str(tmp_path), "-f", "0") as server:
        client = server.connect()
        assert client.ask("put 1 0 60 1\r\na") == "INSERTED 1"
        assert client.ask("put 2 0 60 1\r\nb") == "INSERTED 2"
        assert client.ask("reserve") == "RESERVED 1 1"
        assert refused("-p", "0", "-b", str(tmp_path)) == (
            f"jsm-beanstalkd: {tmp_path}: another server (process {server.process.pid}) has the folder; "
            "stop it, or name another folder"
        )
        server.process.kill()  # nothing that was acknowledged is lost
        server.process.wait(timeout=10)
    with server_process("-b", str(tmp_path), "-F", "-V", "--trace", str(trace)) as server:
        client = server.connect()
        assert client.ask("reserve") == "RESERVED 1 1"
        assert client.line() == "a"
        assert client.ask("put 2 0 60 1\r\nc") == "INSERTED 3"
        client.socket.sendall(b"stats\r\n")
        stats = {}
        while line := client.line():
            name, _, value = line.partition(": ")
            stats[name] = value
        assert stats["binlog-max-size"] == "10485760"
        assert int(stats["binlog-records-written"]) > 0
        code, said = server.stop()
    assert code == 0
    assert f"jsm-beanstalkd: {tmp_path}: 2 jobs recovered\n" in said
    with trace.open("rb") as lines:
        assert verify_trace(lines).verdict == "holds"  # though the first jobs were put before it begins


def test_delays_run_on_while_nobody_serves(tmp_path: Path) -> None:
    with server_process("-b", str(tmp_path)) as server:
        assert server.connect().ask("put 1 1 60 1\r\na") == "INSERTED 1"
        assert server.connect().ask("put 1 3600 60 1\r\nb") == "INSERTED 2"
        server.process.kill()
        server.process.wait(timeout=10)
    time.sleep(1)
    with server_process("-b", str(tmp_path)) as server:
        client = server.connect()
        assert client.ask("reserve-with-timeout 0") == "RESERVED 1 1"
        assert client.line() == "a"
        assert client.ask("reserve-with-timeout 0") == "TIMED_OUT"


def test_the_socket_of_systemd() -> None:
    program = (
        "import os, sys\n"
        "os.dup2(int(sys.argv[1]), 3)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
        "from jsm.wire.beanstalkd import main\n"
        "sys.exit(main(sys.argv[2:]))\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as handed:
        number = handed.fileno()
        os.set_inheritable(number, True)
        command = (sys.executable, "-c", program, str(number), "-p", "1")
        with server_process(command=command, pass_fds=(number,)) as server:
            host, port = handed.getsockname()
            assert server.lines == [f"listening on {host}:{port}"]
            assert server.connect().ask("use a") == "USING a"
            assert server.stop() == (
                0,
                f"jsm-beanstalkd: a socket was handed over ({host}:{port}): -l and -p do nothing\n",
            )


def test_more_connections_than_descriptors() -> None:
    limit = 40
    program = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({limit // 2}, {limit}))\n"
        "from jsm.wire.beanstalkd import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = (sys.executable, "-c", program, "-l", "127.0.0.1", "-p", "0", "--loop", "asyncio")
    with server_process(command=command) as server:
        first = server.connect()
        assert first.ask("use a") == "USING a"
        for _ in range(limit):  # more than half of it: the limit was raised
            server.connect()
        served = 0
        for peer in server.peers[1:]:
            peer.socket.settimeout(1)
            try:
                served += peer.ask("use b") == "USING b"
            except TimeoutError:
                break
        assert limit // 2 < served < limit
        used = cpu_seconds(server.process.pid)
        time.sleep(0.5)
        assert first.ask("use c") == "USING c"
        assert cpu_seconds(server.process.pid) - used < 0.1
        code, said = server.stop()
    assert code == 0
    assert said == f"jsm-beanstalkd: can't accept connections for now: Too many open files; {served + 1} are open\n"


def cpu_seconds(process: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_what_can_not_be_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
        assert refused("-l", host, "-p", str(port)) == (
            f"jsm-beanstalkd: can't listen on {host}:{port}: Address already in use; "
            "stop what listens there, or choose another port with -p (0: the system chooses)"
        )
        assert refused("-l", host, "-p", "0", "--clock", "manual", "--clock-port", str(port)).startswith(
            f"jsm-beanstalkd: can't listen on {host}:{port}: Address already in use; "
        )
    nowhere = tmp_path / "nowhere"
    assert refused("-p", "0", "-b", str(nowhere)) == (
        f"jsm-beanstalkd: -b = '{nowhere}': {nowhere}: can't use the folder: No such file or directory; "
        "give a folder that is there and may be written to"
    )
    assert refused("-p", "0", "--trace", str(nowhere / "trace")) == (
        f"jsm-beanstalkd: {nowhere}/trace: can't open the trace: No such file or directory"
    )
    assert refused("-l", f"unix:{tmp_path}").endswith("it is there and is no socket; choose another path")
    assert list(tmp_path.iterdir()) == []


def test_a_user_who_is_not_there() -> None:
    assert refused("-p", "0", "-u", "nobody-has-this-name") == (
        "jsm-beanstalkd: -u = 'nobody-has-this-name': no user has that name; give a name of this machine's users"
    )


def test_becoming_a_user(tmp_path: Path) -> None:
    name = pwd.getpwuid(os.getuid()).pw_name if os.getuid() else "nobody"
    with server_process("-u", name, "--loop", "uvloop") as server:
        status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
        (uids,) = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")]
        user = pwd.getpwnam(name)
        assert set(uids) == {str(user.pw_uid)}
        if os.getuid() == 0:
            (groups,) = [line.split()[1:] for line in status.splitlines() if line.startswith("Groups:")]
            assert set(map(int, groups)) == set(os.getgrouplist(name, user.pw_gid))
        client = server.connect()
        assert client.ask("stats").startswith("OK ")  # though files of the installation may be closed to the user
        assert f'version: "{PROTOCOL_RELEASE}"' in iter(client.line, "")
    if os.getuid() == 0:  # a folder that only root may write to
        tmp_path.chmod(0o700)
        assert refused("-p", "0", "-u", "nobody", "-b", str(tmp_path)).startswith(
            f"jsm-beanstalkd: -b = '{tmp_path}': {tmp_path}: can't use the folder: Permission denied; give a folder"
        )


@pytest.mark.parametrize(
    ("command", "more"), [(BEANSTALKD, "jsm-beanstalkd -h lists what there is"), (SERVE, "jsm serve --help lists")]
)
def test_a_bad_command_line_is_one_line(command: tuple[str, ...], more: str) -> None:
    line = refused("-p", "x", command=command)
    assert more in line
    assert "-p = 'x': expected a port from 0 to 65535; 0 lets the system choose one" in line


def test_uvloop_that_is_not_installed() -> None:
    program = (
        "import sys\nsys.modules['uvloop'] = None\nfrom jsm.wire.beanstalkd import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    command = (sys.executable, "-c", program, "-l", "127.0.0.1", "-p", "0")
    assert refused("--loop", "uvloop", command=command).endswith(
        "install it with: pip install 'beanstalk-jsm[serve]', or leave the option out"
    )
    with server_process("-V", command=command) as server:
        assert "the loop is asyncio" in server.stop()[1]


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-v"]) == 0
    assert capsys.readouterr().out == f"beanstalkd {version_text()}\n"
    assert main(["-h"]) == 0
    assert capsys.readouterr().out == HELP
    done = subprocess.run([*SERVE, "-v"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == f"beanstalkd {version_text()}\n"
    done = subprocess.run([*SERVE, "-h"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20)
    for option in [line.split()[0].rstrip(",") for line in HELP.splitlines() if line.startswith("  -")]:
        assert f" {option}" in done.stdout  # the two commands have the same options


def test_removed_flags_are_accepted_and_a_limit_is_raised() -> None:
    with server_process("-c", "-n", "-z", "2000000000") as server:
        assert server.connect().ask("use a") == "USING a"
        code, said = server.stop()
    assert code == 0
    assert said.splitlines() == [
        "jsm-beanstalkd: -c does nothing: the journal is always compacted",
        "jsm-beanstalkd: -n does nothing: the journal is always compacted",
        "jsm-beanstalkd: -z = 2000000000: lowered to 1073741824, the most that is allowed",
    ]


def test_nobody_reads_what_it_prints() -> None:
    with server_process(lines=1) as server:
        assert server.process.stdout is not None
        assert server.process.stderr is not None
        server.process.stdout.close()
        server.process.stderr.close()
        assert server.connect().ask("use a") == "USING a"
        server.process.terminate()
        assert server.process.wait(timeout=10) == 0


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_readers_who_do_not_read_cost_a_bounded_memory(loop: str) -> None:
    body = 60_000
    with server_process("--loop", loop) as server:
        other = server.connect()
        assert other.ask(f"put 1 0 60 {body}\r\n" + body * "x") == "INSERTED 1"
        before = resident_bytes(server.process.pid)
        slow = [server.connect() for _ in range(50)]
        for client in slow:  # 50 times 600 megabytes, if all were answered
            client.socket.settimeout(0.2)
            with suppress(TimeoutError):  # the server doesn't read on
                client.socket.sendall(b"peek 1\r\n" * 10_000)
        for _ in range(200):
            assert other.ask("peek-buried") == "NOT_FOUND"
        assert resident_bytes(server.process.pid) - before < 50 * 1_000_000
        slow[0].socket.settimeout(20)
        for _ in range(1000):
            assert slow[0].line() == f"FOUND 1 {body}"
            assert len(slow[0].file.read(body + 2)) == body + 2
        assert server.stop()[0] == 0


def resident_bytes(process: int) -> int:
    """The memory that a process has."""
    pages = Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1]
    return int(pages) * resource.getpagesize()
