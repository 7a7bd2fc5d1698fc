"""The job of the prototypes that keep objects: the fields of `jsm.job.Job`, without its types."""

from dataclasses import dataclass

from tests.benchmarks.representations.subset import BURIED, READY, Record


@dataclass(slots=True, eq=False)
class Job:
    """One live job; an instant that does not apply to its state is 0."""

    id: int
    tube: str
    body: bytes
    priority: int
    delay: int
    ttr: int
    created_at: int
    state: int = READY
    ready_at: int = 0
    expires_at: int = 0
    buried_at: int = 0
    bury_number: int = 0
    owner: str | None = None
    reserves: int = 0
    timeouts: int = 0
    releases: int = 0
    buries: int = 0
    kicks: int = 0

    def record(self) -> Record:
        """All fields, in order."""
        return (
            self.id,
            self.tube,
            self.body,
            self.priority,
            self.delay,
            self.ttr,
            self.created_at,
            self.state,
            self.ready_at,
            self.expires_at,
            self.buried_at,
            self.bury_number,
            self.owner,
            self.reserves,
            self.timeouts,
            self.releases,
            self.buries,
            self.kicks,
        )


RelativeKey = tuple[tuple[tuple[str, int, int, int, int, int, str | None], ...], tuple[int, ...]]


def relative_key(jobs: dict[int, Job], clock: int) -> RelativeKey:
    """The key of a small world made of `jobs`, which stand in the order of their ids. O(n log n)."""
    parts = []
    buried = []
    for place, job in enumerate(jobs.values()):
        due = job.ready_at or job.expires_at
        parts.append((job.tube, job.priority, job.delay, job.ttr, job.state, due and due - clock, job.owner))
        if job.state == BURIED:
            buried.append((job.bury_number, place))
    return tuple(parts), tuple([place for _, place in sorted(buried)])
