"""`kill -9`, really: a child drives a durable machine and says what it acknowledges; nothing of that is missing."""

import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from threading import Timer

import pytest

from jsm.journal import open_journal
from jsm.states import JobState

ROOT = Path(__file__).parent.parent

CHILD = """
import sys
from random import Random
from jsm.journal import SYNC_ALWAYS, SYNC_NEVER, SyncPolicy, open_journal

folder, policy, seed = sys.argv[1:]
random = Random(int(seed))
sync = {"always": SYNC_ALWAYS, "50 ms": SyncPolicy(0.05), "never": SYNC_NEVER}[policy]
machine = open_journal(folder, sync=sync, file_size=20_000)
now = machine.clock
live = [record.job.id for record in machine.snapshot().snapshot_jobs()]
print("open", flush=True)
while True:
    for _ in range(random.randint(1, 8)):
        now += 1
        kind = random.random()
        if kind < 0.4 or not live:
            print("put", now)
            delay, priority = random.choice([0, 0, 5]), random.randint(0, 9)
            live.append(
                machine.put(
                    now, priority=priority, delay_seconds=delay, ttr_seconds=9, body=b"%d" % now, tube="default"
                )
            )
            print("is", live[-1])
        elif kind < 0.6:
            machine.append_reservation(now, str(now), request_id="", tubes=("default",), deadline_at=now)
        elif kind < 0.7:
            machine.tick(now)
        elif kind < 0.95 and len(live) > 50:
            job_id = live.pop(random.randrange(len(live)))
            if machine.get_job(job_id).reserved_by is None:
                print("delete", job_id, flush=True)  # before it may be gone
                machine.delete(job_id, "w", now=now)
        else:
            machine.close_client(str(now - 3))
    sys.stdout.flush()
    machine.before_replies()
    print("end", flush=True)
"""


class Ledger:
    """What children said: the bodies of jobs by id, and what the batch in flight may have done."""

    def __init__(self) -> None:
        self.jobs: dict[int, str] = {}
        self.gone: set[int] = set()
        self.batches = 0
        self.put: list[str] = []  # bodies, of the batch in flight
        self.ids: list[int] = []
        self.deleted: list[int] = []

    def read(self, text: str) -> None:
        """Take in what a child said before it died."""
        for line in text.splitlines(keepends=True):
            if not line.endswith("\n"):
                break  # it died as it said it
            match line.split():
                case ["put", body]:
                    self.put.append(body)
                case ["is", number]:
                    self.ids.append(int(number))
                case ["delete", number]:
                    self.deleted.append(int(number))
                case ["end"]:
                    self.batches += 1
                    self._settle()

    def compare(self, jobs: dict[int, str]) -> None:
        """Compare with what is there, and go on from that."""
        assert set(self.jobs) - set(jobs) <= set(self.deleted), "an acknowledged job is missing"
        assert not self.gone & set(jobs), "a deleted job came back"
        assert {jobs[number] for number in set(jobs) - set(self.jobs)} <= set(self.put), "a job that nobody put"
        assert len(set(jobs.values())) == len(jobs), "a job is there twice"
        assert all(body == self.jobs.get(number, body) for number, body in jobs.items()), "a body was changed"
        self.gone |= set(self.jobs) - set(jobs)
        self.jobs = dict(jobs)
        self.put, self.ids, self.deleted = [], [], []

    def _settle(self) -> None:
        """The batch was acknowledged."""
        new = dict(zip(self.ids, self.put, strict=True))
        assert not new.keys() & (self.jobs.keys() | self.gone), "an id was given twice"
        self.jobs |= new
        for number in self.deleted:
            del self.jobs[number]
            self.gone.add(number)
        self.put, self.ids, self.deleted = [], [], []


def said_by_child(folder: Path, policy: str, seed: int, seconds: float) -> str:
    """What a child said until it was killed, so long after it had opened the folder."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), policy, str(seed)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "open\n"
        timer = Timer(seconds, child.kill)
        timer.start()
        text = child.stdout.read()
        timer.join()
    finally:
        child.kill()
        child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    return text


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["always", "50 ms", "never"])
def test_nothing_acknowledged_is_missing_and_nothing_is_there_twice(tmp_path: Path, policy: str) -> None:
    random = Random(policy)
    ledger = Ledger()
    for turn in range(25):
        ledger.read(said_by_child(tmp_path, policy, turn, random.uniform(0.01, 0.25)))
        with open_journal(tmp_path, file_size=20_000) as machine:
            found = [record.job for record in machine.snapshot().snapshot_jobs()]
        assert all(job.state is not JobState.RESERVED for job in found)
        ledger.compare({job.id: job.body.decode() for job in found})
    assert ledger.batches > 500
    assert len(ledger.gone) > 100
