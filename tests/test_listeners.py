"""The sockets that the server listens on: addresses of every kind, those that are taken, those that are handed over."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jsm.wire.listeners import Listener, ListenError, open_listener, show_address, take_handed_over

ROOT = Path(__file__).parent.parent


def test_the_system_chooses_a_port() -> None:
    listener = open_listener(("127.0.0.1", 0))
    with listener.socket:
        assert isinstance(listener.address, tuple)
        host, port = listener.address
        assert host == "127.0.0.1"
        assert port > 0
        assert not listener.socket.getblocking()
        with socket.create_connection((host, port), timeout=5):
            accepted, _ = listener.socket.accept()
            with accepted:  # what makes small answers leave at once is inherited
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_a_name_is_looked_up() -> None:
    listener = open_listener(("localhost", 0))
    listener.close()
    assert listener.address[0] in ("127.0.0.1", "::1")


def test_an_address_of_ipv6() -> None:
    try:
        listener = open_listener(("::1", 0))
    except ListenError as error:  # a machine without IPv6, which is told how to go on
        assert str(error).endswith("give an address of this machine with -l")  # noqa: PT017
        return
    listener.close()
    assert show_address(listener.address) == f"[::1]:{listener.address[1]}"


def test_a_used_port_is_refused() -> None:
    first = open_listener(("127.0.0.1", 0))
    with first.socket, pytest.raises(ListenError) as refused:
        open_listener(first.address)
    assert str(refused.value) == (
        f"can't listen on {show_address(first.address)}: Address already in use; "
        "stop what listens there, or choose another port with -p (0: the system chooses)"
    )


def test_what_is_no_address_of_this_machine_is_refused() -> None:
    with pytest.raises(ListenError, match=r"^can't listen on 192\.0\.2\.1:0: .*; give an address of this machine with"):
        open_listener(("192.0.2.1", 0))
    with pytest.raises(ListenError, match=r"^-l = 'no such host': .*; give an address or a name of this machine$"):
        open_listener(("no such host", 0))
    with pytest.raises(ListenError, match=r"^-l = '\.\.': .*; give an address or a name of this machine$"):
        open_listener(("..", 0))


def test_a_unix_socket_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "jsm.sock"
    listener = open_listener(str(path))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert show_address(listener.address) == f"unix:{path}"
    listener.close()
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_a_server_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "jsm.sock"
    left = open_listener(str(path))
    left.socket.close()
    assert path.is_socket()
    listener = open_listener(str(path))
    left.close()  # its file is another's by now
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()
    assert not path.exists()


def test_a_socket_that_answers_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "jsm.sock"
    listener = open_listener(str(path))
    with pytest.raises(ListenError) as refused:
        open_listener(str(path))
    assert str(refused.value) == (
        f"can't listen on unix:{path}: a server answers there; stop it, or choose another path"
    )
    assert path.is_socket()
    listener.close()


def test_a_file_in_the_place_of_a_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data", encoding="utf-8")
    with pytest.raises(ListenError, match=r"it is there and is no socket; choose another path$"):
        open_listener(str(path))
    assert path.read_text(encoding="utf-8") == "data"
    with pytest.raises(ListenError, match=r"choose a path in a folder that may be written to$"):
        open_listener(str(tmp_path / "no folder" / "jsm.sock"))


def take_in_a_process(count: str, third: int, process: str = "{pid}") -> str:
    """What `take_handed_over` says in a process whose descriptor 3 is `third`."""
    program = (
        "import os, sys\n"
        "from jsm.wire.listeners import ListenError, take_handed_over\n"
        "os.dup2(int(sys.argv[3]), 3)\n"  # where systemd puts it
        "environment = {'LISTEN_PID': sys.argv[1].format(pid=os.getpid()), 'LISTEN_FDS': sys.argv[2], 'OTHER': '1'}\n"
        "try:\n"
        "    taken = take_handed_over(environment)\n"
        "    print(taken and (taken[0].address, taken[1]), environment)\n"
        "except ListenError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, process, count, str(third)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30, pass_fds=(third,))
    return done.stdout.strip()


def test_systemd_hands_a_socket_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        assert take_in_a_process("2", server.fileno()) == f"({address!r}, 2) {{'OTHER': '1'}}"
        assert take_in_a_process("1", server.fileno(), process="1") == "None {'OTHER': '1'}"
        assert take_in_a_process("0", server.fileno()) == "None {'OTHER': '1'}"


def test_what_is_handed_over_has_to_listen(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert take_in_a_process("1", datagrams.fileno()) == (
            "LISTEN_FDS = 1: descriptor 3 is no listening TCP or Unix stream socket; "
            "use ListenStream= in the .socket unit"
        )
    with (tmp_path / "file").open("wb") as file:
        assert take_in_a_process("1", file.fileno()).startswith("LISTEN_FDS = 1: descriptor 3 is no socket (")


def test_without_systemd_nothing_is_handed_over() -> None:
    environment = dict(os.environ)
    environment.pop("LISTEN_PID", None)
    assert take_handed_over(environment) is None


def test_closing_twice_does_nothing() -> None:
    listener = open_listener(("127.0.0.1", 0))
    listener.close()
    listener.close()
    assert isinstance(listener, Listener)
