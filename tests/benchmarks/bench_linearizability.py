"""What it costs to check a history: `python -m tests.benchmarks.bench_linearizability`.

Histories of simulated clients of the true machine, as they are and with one impossible operation at their end. Busy:
the share of the time for which a client has an operation under way, which says how much there is to try.
"""

import sys
from time import perf_counter

from models.histories import History, make_history
from models.linearizability import check_history
from tests.client_histories import SECOND, Habits, client_history
from tests.history_lines import op

ROWS = (
    ("4 clients, short ways", Habits(clients=4, operations=4000, way_max=5, think_max=200)),
    ("10 clients, short ways", Habits(clients=10, operations=4000, way_max=5, think_max=200)),
    ("10 clients, longer ways", Habits(clients=10, operations=3000, way_max=10, think_max=300)),
    ("10 clients, busy", Habits(clients=10, operations=400, way_max=50, think_max=50)),
    ("4 clients that crash", Habits(clients=4, operations=400, crash=0.01)),
)
SEEDS = range(5)


def spoilt(history: History) -> History:
    """The history and at its end a reserve out of a tube in which the job never was."""
    end = max(operation.returned_at or 0 for operation in history.operations) + SECOND
    extra = op("z", end, end + 1, "reserve", "nowhere", 0, to=1)
    return make_history([*history.operations, extra], units_per_second=SECOND)


def main() -> None:
    """Print, for each row: the verdicts, states, seconds a history, operations a second."""
    for name, habits in ROWS:
        for kind, change in (("as it is", None), ("with a fault", spoilt)):
            histories = [client_history(seed, habits) for seed in SEEDS]
            if change is not None:
                histories = [change(history) for history in histories]
            start = perf_counter()
            results = [check_history(history) for history in histories]
            spent = (perf_counter() - start) / len(histories)
            operations = sum(result.operations for result in results) / len(results)
            states = sum(result.states for result in results) / len(results)
            verdicts = ", ".join(sorted({result.verdict for result in results}))
            sys.stdout.write(
                f"{name}, {kind}: {verdicts}; {operations:.0f} operations, {states:.0f} states, {spent:.2f} s, "
                f"{operations / spent:.0f} operations a second\n"
            )


if __name__ == "__main__":
    main()
