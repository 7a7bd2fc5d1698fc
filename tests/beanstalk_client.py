"""A small client of a beanstalkd on a socket, for recording histories."""

import socket
from typing import Any

from models.histories import HistoryRecorder


class Refused(Exception):
    """A reply that says that nothing was done, or that there is no job."""


class NotFound(Refused):
    """NOT_FOUND."""


class TimedOut(Refused):
    """TIMED_OUT."""


class DeadlineSoon(Refused):
    """DEADLINE_SOON."""


REFUSALS: dict[type[BaseException], str] = {
    NotFound: "not-found",
    TimedOut: "timeout",
    DeadlineSoon: "deadline-soon",
}
_ERRORS = {"NOT_FOUND": NotFound, "TIMED_OUT": TimedOut, "DEADLINE_SOON": DeadlineSoon}


class RecordedClient:
    """A connection that records what it does. It uses and watches one tube after the other as it is asked to."""

    def __init__(self, name: str, port: int, recorder: HistoryRecorder) -> None:
        self.name = name
        self.recorder = recorder
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.used = "default"
        self.watched = ["default"]

    def put(self, tube: str, body: bytes, *, priority: int, delay_seconds: int, ttr_seconds: int) -> int:
        """Put a job and return its id."""
        self._use(tube)
        args = {
            "tube": tube,
            "priority": priority,
            "delay_seconds": delay_seconds,
            "ttr_seconds": ttr_seconds,
            "body": body.decode("latin-1"),
        }
        command = f"put {priority} {delay_seconds} {ttr_seconds} {len(body)}\r\n".encode() + body + b"\r\n"
        return self.recorder.record(
            self.name, "put", args, lambda: int(self._ask(command, "INSERTED")[0]), lambda job_id: {"ok": job_id}
        )

    def reserve(self, tubes: list[str], timeout_seconds: int | None) -> int:
        """Reserve a job and return its id."""
        for tube in tubes:
            if tube not in self.watched:
                self._ask(f"watch {tube}\r\n".encode(), "WATCHING")
        for tube in self.watched:
            if tube not in tubes:
                self._ask(f"ignore {tube}\r\n".encode(), "WATCHING")
        self.watched = list(tubes)
        command = b"reserve\r\n" if timeout_seconds is None else b"reserve-with-timeout %d\r\n" % timeout_seconds
        args = {"tubes": tubes, "timeout_seconds": timeout_seconds}
        return self.recorder.record(self.name, "reserve", args, lambda: self._job(command, "RESERVED"), _seen)[0]

    def reserve_job(self, job_id: int) -> int:
        """Reserve a job by its id."""
        command = b"reserve-job %d\r\n" % job_id
        args = {"job_id": job_id}
        return self.recorder.record(self.name, "reserve_job", args, lambda: self._job(command, "RESERVED"), _seen)[0]

    def peek(self, state: str, tube: str) -> int:
        """The id of the tube's first job in a state."""
        self._use(tube)
        command = f"peek-{state}\r\n".encode()
        args = {"tube": tube}
        return self.recorder.record(self.name, f"peek_{state}_job", args, lambda: self._job(command, "FOUND"), _seen)[0]

    def kick_n(self, tube: str, n: int) -> int:
        """Kick at most n jobs of a tube."""
        self._use(tube)
        command = b"kick %d\r\n" % n
        args = {"tube": tube, "n": n}
        return self.recorder.record(
            self.name, "kick_n", args, lambda: int(self._ask(command, "KICKED")[0]), lambda count: {"ok": count}
        )

    def change(self, op: str, job_id: int, *numbers: int) -> None:
        """One of the operations on a job by its id; numbers are the priority and the delay."""
        word = {"release_with": "release", "kick": "kick-job"}.get(op, op)
        command = " ".join([word, str(job_id), *map(str, numbers)]) + "\r\n"
        reply = {"delete": "DELETED", "release": "RELEASED", "touch": "TOUCHED", "bury": "BURIED", "kick-job": "KICKED"}
        args = {"job_id": job_id, **dict(zip(("priority", "delay_seconds"), numbers, strict=False))}
        self.recorder.record(self.name, op, args, lambda: self._ask(command.encode(), reply[word]))

    def pause(self, tube: str, seconds: int) -> None:
        """Pause a tube."""
        command = f"pause-tube {tube} {seconds}\r\n".encode()
        args = {"tube": tube, "seconds": seconds}
        self.recorder.record(self.name, "pause_tube", args, lambda: self._ask(command, "PAUSED"))

    def close(self) -> None:
        """Close the connection."""
        self.recorder.close(self.name)
        self.file.close()
        self.socket.close()

    def _use(self, tube: str) -> None:
        if self.used != tube:
            self._ask(f"use {tube}\r\n".encode(), "USING")
            self.used = tube

    def _ask(self, command: bytes, wanted: str) -> list[str]:
        """Send a command; the words after the wanted one of the reply."""
        self.socket.sendall(command)
        words = self.file.readline().decode().split()
        if not words:
            raise ConnectionError("the server closed the connection")
        if words[0] == wanted:
            return words[1:]
        raise _ERRORS.get(words[0], ConnectionError)(" ".join(words))

    def _job(self, command: bytes, wanted: str) -> tuple[int, bytes]:
        number, length = self._ask(command, wanted)
        body = self.file.read(int(length) + 2)[:-2]
        return int(number), body


def _seen(job: tuple[int, bytes]) -> dict[str, Any]:
    return {"ok": {"job_id": job[0], "body": job[1].decode("latin-1")}}
