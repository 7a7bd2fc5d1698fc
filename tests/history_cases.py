"""Small histories, right and wrong: a list of what can and what can't be seen of a job queue."""

from models.histories import Operation
from tests.history_lines import op, put, reserve

RIGHT: dict[str, list[Operation]] = {
    "nothing": [],
    "a put and a reserve at once": [put(0, 9, 1), reserve("a", 0, 9, 1)],
    "an empty reserve during a put": [put(0, 9, 1), reserve("a", 0, 9, "timeout")],
    "the expired job of another": [put(0, 1, 1, ttr=1), reserve("a", 2, 3, 1), reserve("b", 12, 13, 1)],
    "a late expiry": [put(0, 1, 1, ttr=1), reserve("a", 2, 3, 1), op("a", 17, 18, "touch", 1)],
    "a wait that a put ends": [put(60, 61, 1), reserve("a", 0, 62, 1, timeout=9)],
    "a wait that times out": [reserve("a", 0, 11, "timeout", timeout=1), put(12, 13, 1)],
    "a job that comes and goes before a wait begins": [
        put(0, 1, 1),
        reserve("a", 0, 14, "timeout", timeout=1),
        op("b", 3, 4, "delete", 1),
    ],
    "a put that never returned but took effect": [
        put(0, None, 1),
        reserve("a", 5, 6, 1),
        op("a", 7, 8, "delete", 1),
    ],
    "a put that never returned and took none": [put(0, None, 1), reserve("a", 5, 6, "timeout")],
    "a delete that never returned": [put(0, 1, 1), op("a", 2, None, "delete", 1), reserve("b", 8, 9, "timeout")],
    "a reserve that never returned holds a job": [
        put(0, 1, 1, ttr=1),
        reserve("a", 2, None, None, timeout=None),
        reserve("b", 3, 4, "timeout"),
        reserve("b", 15, 16, 1),
    ],
    "a lost connection gives its job back": [
        put(0, 1, 1),
        reserve("a", 2, 3, 1),
        op("a", 4, None, "close_client"),
        reserve("b", 5, 7, 1),
    ],
    "a warning": [put(0, 1, 1, ttr=2), reserve("a", 1, 2, 1), reserve("a", 3, 12, "deadline-soon", timeout=5)],
    "clients served in the order of their waits, over two tubes": [
        reserve("a", 0, 6, 1, tubes="u", timeout=4),
        reserve("b", 1, 9, 2, tubes="u t", timeout=4),
        reserve("c", 3, 14, "timeout", timeout=1),
        put(5, 6, 1, tube="u"),
        put(7, 8, 2, tube="t"),
    ],
    "a pause": [
        put(0, 1, 1),
        op("b", 2, 3, "pause_tube", "t", 2),
        reserve("a", 4, 5, "timeout"),
        reserve("a", 6, 24, 1, timeout=9),
    ],
    "a kick of what was buried first": [
        put(0, 1, 1),
        put(2, 3, 2),
        reserve("a", 4, 5, 1),
        reserve("a", 6, 7, 2),
        op("a", 8, 9, "bury", 2, 0),
        op("a", 10, 11, "bury", 1, 0),
        op("b", 12, 13, "kick_n", "t", 1, to=1),
        op("b", 14, 15, "peek_buried_job", "t", to=1),
        reserve("b", 16, 17, 2),
    ],
    "the best over two tubes": [
        put(0, 1, 1, tube="t", priority=5),
        put(2, 3, 2, tube="u", priority=4),
        reserve("a", 4, 5, 2, tubes="t u"),
        reserve("a", 6, 7, 1, tubes="t u"),
    ],
    "what says that nothing happened": [
        put(0, 1, 1),
        op("a", 2, 3, "put", "t", 0, 0, 1, to="failed"),
        op("a", 4, 5, "delete", 1, to="bad-value"),
        reserve("a", 6, 7, 1),
    ],
    "what a client did at the instant at which the last thing returned": [
        put(0, 0, 1, client="a"),
        op("a", 0, 0, "delete", 1),
        op("a", 0, 0, "delete", 1, to="not-found"),
    ],
}

WRONG: dict[str, tuple[list[Operation], str]] = {
    "a job reserved twice": (
        [put(0, 1, 1), reserve("a", 2, 3, 1), reserve("b", 4, 5, 1)],
        "job 1 is reserved by a",
    ),
    "a job delivered after its delete": (
        [put(0, 1, 1), op("b", 2, 3, "delete", 1), reserve("a", 4, 5, 1)],
        "job 1 is not there",
    ),
    "a job delivered before its put": ([reserve("a", 0, 1, 1), put(2, 3, 1)], "job 1 is not there"),
    "a job that nobody put": ([reserve("a", 0, 1, 7)], "job 7 is not there"),
    "a lost job": (
        [put(0, 1, 1), reserve("a", 2, 3, 1), op("a", 4, 5, "release", 1), op("b", 6, 7, "get_job", 1, to="missing")],
        "job 1 is ready, so that it had to succeed",
    ),
    "the worse of two priorities": (
        [put(0, 1, 1, priority=1), put(2, 3, 2, priority=0), reserve("a", 4, 5, 1)],
        "job 2 is ready too, and comes before job 1",
    ),
    "the younger of two equals": (
        [put(0, 1, 1), put(2, 3, 2), reserve("a", 4, 5, 2)],
        "job 1 is ready too, and comes before job 2",
    ),
    "the first tube instead of the best job": (
        [put(0, 1, 1, tube="t", priority=5), put(2, 3, 2, tube="u"), reserve("a", 4, 5, 1, tubes="t u")],
        "comes before job 1",
    ),
    "an expiry too early": (
        [put(0, 1, 1, ttr=2), reserve("a", 2, 3, 1), reserve("b", 20, 21, 1)],
        "job 1 is reserved by a",
    ),
    "an expiry too early after a wait": (
        [put(50, 51, 1, ttr=2), reserve("a", 0, 52, 1, timeout=9), reserve("b", 60, 61, 1)],
        "job 1 is reserved by a",
    ),
    "an expiry too early after a touch": (
        [put(0, 1, 1, ttr=2), reserve("a", 2, 3, 1), op("a", 15, 16, "touch", 1), reserve("b", 30, 31, 1)],
        "job 1 is reserved by a",
    ),
    "an expiry too late": (
        [put(0, 1, 1, ttr=1), reserve("a", 2, 3, 1), op("a", 24, 25, "touch", 1)],
        "job 1 is ready, so that it had to be refused with wrong-state",
    ),
    "a delay too short": ([put(0, 1, 1, delay=2), reserve("a", 18, 19, 1)], "job 1 is delayed"),
    "a delay too long": (
        [put(0, 1, 1, delay=2), reserve("a", 32, 33, "timeout")],
        "job 1 is ready, so that the answer had to be that job",
    ),
    "a timeout while a job was there": (
        [put(0, 1, 1), reserve("a", 2, 3, "timeout")],
        "job 1 is ready, so that the answer had to be that job",
    ),
    "a wait that slept through a job": (
        [reserve("a", 0, 11, "timeout", timeout=1), put(3, 4, 1), op("b", 5, 6, "delete", 1)],
        "job 1 is ready and has to be given to a waiting client first",
    ),
    "a timeout too early": ([reserve("a", 0, 8, "timeout", timeout=1)], "can't be placed either"),
    "a reserve without limit that timed out": (
        [reserve("a", 0, 99, "timeout", timeout=None)],
        "a wait without limit can't time out",
    ),
    "a warning for nothing": ([reserve("a", 0, 9, "deadline-soon", timeout=5)], "the client holds no job"),
    "a warning too early": (
        [put(0, 1, 1, ttr=3), reserve("a", 2, 3, 1), reserve("a", 4, 9, "deadline-soon", timeout=5)],
        "no job of the client comes within a second of its expiry before 22",
    ),
    "a warning though a job was ready": (
        [put(0, 1, 1, ttr=1), reserve("a", 2, 3, 1), put(4, 5, 2), reserve("a", 6, 7, "deadline-soon")],
        "job 2 is ready, so that the answer had to be that job",
    ),
    "a timeout though a job expires soon": (
        [put(0, 1, 1, ttr=1), reserve("a", 2, 3, 1), reserve("a", 4, 5, "timeout")],
        "the answer had to be DEADLINE_SOON",
    ),
    "a delete of another's job": (
        [put(0, 1, 1), reserve("a", 2, 3, 1), op("b", 4, 5, "delete", 1)],
        "job 1 is reserved by a, so that it had to be refused with unauthorized",
    ),
    "a refused delete of one's own job": (
        [put(0, 1, 1), reserve("a", 2, 3, 1), op("a", 4, 5, "delete", 1, to="not-found")],
        "so that it had to succeed",
    ),
    "the wrong refusal": (
        [put(0, 1, 1), reserve("a", 2, 3, 1), op("b", 4, 5, "touch", 1, to="wrong-state")],
        "so that it had to be refused with unauthorized",
    ),
    "a second job with one id": ([put(0, 1, 1), op("b", 2, 3, "delete", 1), put(4, 5, 1)], "its id is not above 1"),
    "ids that shrink": ([put(0, 1, 2), put(2, 3, 1, client="b")], "job 1 has to be put before, as ids grow"),
    "ids that shrink across tubes": (
        [put(0, 1, 2), put(2, 3, 1, tube="u", client="b")],
        "can't be placed either",
    ),
    "a job out of a paused tube": (
        [put(0, 1, 1), op("b", 2, 3, "pause_tube", "t", 2), reserve("a", 4, 5, 1)],
        "job 1 is ready, but its tube 't' is paused",
    ),
    "a pause that never ends": (
        [put(0, 1, 1), op("b", 2, 3, "pause_tube", "t", 1), reserve("a", 24, 25, "timeout")],
        "job 1 is ready, so that the answer had to be that job",
    ),
    "a pause of nothing": ([put(0, 1, 1), op("b", 2, 3, "pause_tube", "t", 1, to="missing")], "tube 't' is there"),
    "too many kicked": (
        [put(0, 1, 1, delay=9), op("b", 2, 3, "kick_n", "t", 5, to=2)],
        "1 jobs were there to be kicked, not 2",
    ),
    "delayed jobs kicked though one was buried": (
        [
            put(0, 1, 1),
            put(2, 3, 2, delay=9),
            reserve("a", 4, 5, 1),
            op("a", 6, 7, "bury", 1, 0),
            op("b", 8, 9, "kick_n", "t", 1, to=1),
            reserve("b", 10, 11, 2),
        ],
        "job 2 is delayed",
    ),
    "a kick of a ready job": ([put(0, 1, 1), op("b", 2, 3, "kick", 1)], "had to be refused with wrong-state"),
    "a peek at the wrong job": (
        [put(0, 1, 1, delay=9), put(2, 3, 2, delay=5), op("b", 4, 5, "peek_delayed_job", "t", to=1)],
        "job 2 is first there, and job 1 is delayed",
    ),
    "a peek that sees nothing": (
        [put(0, 1, 1), op("b", 2, 3, "peek_ready_job", "t", to="missing")],
        "job 1 is ready, so that it had to be seen",
    ),
    "a reserve of a reserved job by its id": (
        [put(0, 1, 1), reserve("a", 2, 3, 1), op("b", 4, 5, "reserve_job", 1, to=1)],
        "job 1 is reserved by a, so that it had to be refused with missing",
    ),
    "a close that gives nothing back": (
        [put(0, 1, 1), reserve("a", 2, 3, 1), op("a", 4, 5, "close_client"), reserve("b", 6, 7, "timeout")],
        "job 1 is ready, so that the answer had to be that job",
    ),
    "a job of a live client given away as if it had closed": (
        [put(0, 1, 1), reserve("a", 2, 3, 1), op("a", 8, None, "close_client"), reserve("b", 5, 7, 1)],
        "job 1 is reserved by a",
    ),
    "the later of two waiting clients served": (
        [reserve("a", 0, 30, "timeout", timeout=3), put(20, 21, 1), reserve("b", 10, 22, 1, timeout=3)],
        "a has waited longer for job 1",
    ),
}
"""Each with a part of the reason for which it is rejected; a second is 10 units, timers may be one late."""
