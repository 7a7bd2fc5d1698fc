"""A history of a real beanstalkd, recorded by four clients in threads."""

import contextlib
import time
from random import Random
from threading import Thread

from models.histories import History, HistoryRecorder
from models.linearizability import DEVIATIONS, check_history
from tests.beanstalk_client import REFUSALS, RecordedClient, Refused
from tests.servers import debians_beanstalkd

SECOND = 1_000_000_000  # a history in nanoseconds
TUBES = ["default", "t"]


def work(client: RecordedClient, random: Random, until: float) -> None:
    """Do this and that until a moment, mostly what a worker and a producer would."""
    held: list[int] = []
    seen = [1]
    while time.monotonic() < until:
        op = random.choices(
            ["put", "reserve", "end", "reserve_job", "peek", "kick_n", "kick", "pause", "rest"],
            [14, 14, 14, 2, 3, 3, 2, 1, 3],
        )[0]
        with contextlib.suppress(Refused):
            match op:
                case "put":
                    numbers = {"priority": random.randint(0, 3), "delay_seconds": random.choice([0, 0, 0, 1])}
                    seen.append(client.put(random.choice(TUBES), b"body", **numbers, ttr_seconds=random.choice([1, 3])))
                case "reserve":
                    tubes = random.choice([["default"], ["t"], TUBES])
                    held.append(client.reserve(tubes, random.choice([0, 0, 0, 1])))
                case "end" if held:
                    job_id = held.pop(random.randrange(len(held)))
                    if random.random() < 0.2:
                        client.change("touch", job_id)
                    end = random.choice(["delete", "delete", "delete", "release_with", "bury"])
                    numbers = {"release_with": (2, random.choice([0, 1])), "bury": (1,)}.get(end, ())
                    client.change(end, job_id, *numbers)
                case "reserve_job":
                    held.append(client.reserve_job(random.choice(seen[-5:])))
                case "peek":
                    client.peek(random.choice(["ready", "delayed", "buried"]), random.choice(TUBES))
                case "kick_n":
                    client.kick_n(random.choice(TUBES), random.randint(1, 3))
                case "kick":
                    client.change("kick", random.choice(seen[-5:]))
                case "pause" if random.random() < 0.2:
                    client.pause("t", random.choice([0, 1]))
                case "rest":
                    time.sleep(random.random() * 0.05)
        time.sleep(random.random() * 0.004)


def record(port: int, *, seconds: float, seed: int = 0, clients: int = 4) -> History:
    """A history of some clients of the server on a port."""
    recorder = HistoryRecorder(time.monotonic_ns, units_per_second=SECOND, refusals=REFUSALS)
    connected = [RecordedClient(f"c{number}", port, recorder) for number in range(clients)]
    until = time.monotonic() + seconds
    threads = [
        Thread(target=work, args=(client, Random(seed * 100 + place), until)) for place, client in enumerate(connected)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in connected:
        client.close()
    return recorder.history()


def test_a_history_of_debians_beanstalkd_holds() -> None:
    with debians_beanstalkd() as server:
        history = record(server.port, seconds=1.2)
    result = check_history(history, deviations=DEVIATIONS)
    assert result.verdict == "holds", "\n".join(result.rejection.lines() if result.rejection else [result.reason])
    ops = [operation.op for operation in history.operations]
    assert len(ops) > 200
    assert {"put", "reserve", "delete", "release_with", "bury", "kick_n", "reserve_job"} <= set(ops)
