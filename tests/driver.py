"""Short words for histories, over the specification alone or over anything that takes the same calls."""

from collections.abc import Callable
from typing import Any

from models.calls import Call
from models.spec_world import Job, Refused


class Driver:
    """Short words for histories, over the specification alone or in lock-step. `now` is in units, waits in seconds."""

    def __init__(self, do: Callable[[Call], Any], *, second: int) -> None:
        self._do = do
        self.second = second
        self.now = 0

    def at(self, now: int) -> "Driver":
        """Let the next calls happen at `now`."""
        self.now = now
        return self

    def call(self, op: str, *args: Any, **kwargs: Any) -> Any:
        """Any operation, as it is; raises `Refused`."""
        return self._do(Call(op, args, kwargs))

    def refusal(self, op: str, *args: Any, **kwargs: Any) -> str | None:
        """The category in which the operation is refused; None: it is not."""
        try:
            self.call(op, *args, **kwargs)
        except Refused as refusal:
            return refusal.category
        return None

    def put(self, tube: str = "default", *, pri: int = 0, delay: int = 0, ttr: int = 60, body: bytes = b"x") -> int:
        """Put a job; its id."""
        made = self.call("put", self.now, priority=pri, delay_seconds=delay, ttr_seconds=ttr, body=body, tube=tube)
        return int(made)

    def ask(self, client: str, *tubes: str, until: int | None = None) -> str:
        """Ask for a job of the tubes (`default` when none is named); the answer's status and job."""
        tubes = tubes or ("default",)
        answer = self.call(
            "append_reservation", self.now, client, request_id=f"{client}@{self.now}", tubes=tubes, deadline_at=until
        )
        return _short(answer)

    def hold(self, client: str, tube: str = "default", *, ttr: int = 60, pri: int = 0) -> int:
        """Put a job and let the client reserve it by id; the job's id."""
        job_id = self.put(tube, ttr=ttr, pri=pri)
        self.call("reserve_job", self.now, job_id, client)
        return job_id

    def tick(self) -> list[str]:
        """The answers of a tick: client, status and job."""
        return [f"{answer[1]} {_short(answer)}" for answer in self.call("tick", self.now)]

    def tick_at(self, now: int) -> list[str]:
        """The answers of a tick at an instant."""
        return self.at(now).tick()

    def job(self, job_id: int) -> Job:
        """The job's fields by name."""
        return Job(*self.call("get_job", job_id))

    def state(self, job_id: int) -> str:
        """The job's state."""
        return str(self.job(job_id).state)

    def stats(self, tube: str | None = None) -> dict[str, Any]:
        """The statistics of a tube, or of all."""
        found = (
            self.call("get_stats_as_yaml", self.now)
            if tube is None
            else self.call("get_stats_tube_as_yaml", self.now, tube)
        )
        return dict(found)


def _short(answer: tuple[Any, ...]) -> str:
    return f"matched {answer[3]}" if answer[2] == "matched" else str(answer[2])
