"""How long each worker worked and was away, and how its pieces of work ended."""

from collections.abc import Sequence

import numpy as np

from sim.histogram import Integers
from sim.run_result import Outcome, PoolInfo, WorkerResult


class WorkerTimes:
    """The workers' times, by worker in order of pools."""

    __slots__ = ("_absent", "_absent_window", "_busy", "_busy_window", "_first", "_outcomes", "_pools")

    def __init__(self, pools: Sequence[PoolInfo]) -> None:
        self._pools = pools
        counts = np.array([0, *(pool.count for pool in pools)], np.int64)
        self._first: Integers = np.cumsum(counts)  # the number of each pool's first worker, and of all at the end
        workers = int(self._first[-1])
        self._busy: Integers = np.zeros(workers, np.int64)
        self._busy_window: Integers = np.zeros(workers, np.int64)
        self._absent: Integers = np.zeros(workers, np.int64)
        self._absent_window: Integers = np.zeros(workers, np.int64)
        self._outcomes: Integers = np.zeros((workers, len(Outcome)), np.int64)

    def work(self, pieces: Integers, warmup_at: int) -> None:
        """Fold pieces of work; the rows are pool, worker, begin, end, outcome."""
        pool, worker, began, ended, outcome = pieces
        who = self._first[pool] + worker
        np.add.at(self._busy, who, ended - began)
        np.add.at(self._busy_window, who, np.maximum(ended, warmup_at) - np.maximum(began, warmup_at))
        inside = ended >= warmup_at
        np.add.at(self._outcomes.reshape(-1), who[inside] * len(Outcome) + outcome[inside], 1)

    def absence(self, pieces: Integers, warmup_at: int) -> None:
        """Fold absences; the rows are pool, worker, begin, end."""
        pool, worker, began, ended = pieces
        who = self._first[pool] + worker
        np.add.at(self._absent, who, ended - began)
        np.add.at(self._absent_window, who, np.maximum(ended, warmup_at) - np.maximum(began, warmup_at))

    def results(self, window: int) -> list[WorkerResult]:
        """All workers, pool by pool, with their times in a window of this length."""
        return [
            WorkerResult(
                pool=pool.name,
                worker=number,
                busy=int(self._busy_window[first + number]),
                present=window - int(self._absent_window[first + number]),
                outcomes={outcome: int(self._outcomes[first + number, outcome]) for outcome in Outcome},
            )
            for pool, first in zip(self._pools, self._first.tolist(), strict=False)
            for number in range(pool.count)
        ]

    def overdrafts(self, ended_at: int) -> int:
        """How many workers were busy and absent for longer than the run."""
        return int((self._busy + self._absent > ended_at).sum())
