"""The queue of `tests/strangers.py` with one planted bug each, of the classes of INVARIANTS section 2."""

from collections.abc import Sequence
from typing import Any, Final

from tests.strangers import Item, NoSuchJob, Queue


class SecondLate(Queue):
    """51, KB-1: everything happens a second late."""

    def is_due(self, until: int) -> bool:
        return until < self.clock()


class LeftUnderflows(Queue):
    """18, 19: what is left of a delay is far too much once the delay ends elsewhere, as for an unsigned number."""

    def time_left(self, item: Item) -> int:
        return (item.until - self.clock()) % 2**64 if item.until else 0


class FirstTube(Queue):
    """23: the first watched tube with a ready job is taken, not the best job of all."""

    def best(self, tubes: Sequence[str]) -> Item | None:
        return next((item for tube in tubes if (item := super(FirstTube, self).best([tube]))), None)


class TimeoutsNotCounted(Queue):
    """26: a ttr that passes is not counted."""

    def expire(self, item: Item) -> None:
        self.free(item)


class HolderMayNotWait(Queue):
    """29: a client that holds a job can't wait for another."""

    def reserve(self, client: str, tubes: Sequence[str], timeout: int | None = 0) -> int | None:
        self.catch_up()
        holds = any(item.owner == client for item in self.items.values())
        return super().reserve(client, tubes, 0 if holds else timeout)


class KickTakesReady(Queue):
    """32: a kick of a ready job is accepted."""

    def kick(self, number: int) -> None:
        self.catch_up()
        if self.find(number).state != "ready":
            super().kick(number)


class DelayedUndeletable(Queue):
    """34: a delayed job can't be deleted."""

    def delete(self, number: int, client: str) -> None:
        self.catch_up()
        if self.find(number).state == "delayed":
            raise NoSuchJob(number)
        super().delete(number, client)


class BuriedNotSaved(Queue):
    """44: a saved queue has forgotten its buried jobs, but for their state."""

    def save(self) -> Any:
        return {**super().save(), "graveyard": []}


class OwnersNotSaved(Queue):
    """44: a saved queue has forgotten who holds what."""

    def save(self) -> Any:
        saved = super().save()
        for item in saved["items"].values():
            item.owner = None
        return saved


class DelayedByPriority(Queue):
    """45: delayed jobs come by priority, not by when they are due."""

    def due(self, item: Item) -> tuple[int, int]:
        return self.rank(item)


class TimersNotSaved(Queue):
    """47: a loaded queue never wakes its delayed jobs."""

    def save(self) -> Any:
        saved = super().save()
        for item in saved["items"].values():
            item.until += 1000 if item.state == "delayed" else 0
        return saved


class DelayedNotKicked(Queue):
    """49: kicking some takes buried jobs only."""

    def kickable(self, tube: str) -> list[Item]:
        return self.buried(tube)


class NoOwnerCheck(Queue):
    """52: whoever asks may release, bury, touch and delete."""

    def check_owner(self, item: Item, client: str) -> None:
        pass


class NeverGivesUp(Queue):
    """15, 55: a wait that is over is not answered."""

    def give_up(self) -> None:
        pass


class DelayIsPriority(Queue):
    """56: a release takes the priority for the delay."""

    def release(self, number: int, client: str, priority: int, delay: int) -> None:
        super().release(number, client, delay, priority)


class IdsUsedAgain(Queue):
    """S3: a job has the first number that is free."""

    def new_number(self) -> int:
        return next(number for number in range(1, len(self.items) + 2) if number not in self.items)


class ReleasedGoesLast(Queue):
    """S9: a released job goes behind the ones that were put after it."""

    def rank(self, item: Item) -> tuple[int, int]:
        return item.priority, item.number + 1000 * item.reserves


class LastBuriedFirst(Queue):
    """S12: the last buried job is kicked first."""

    def buried(self, tube: str) -> list[Item]:
        return super().buried(tube)[::-1]


class TouchAddsUp(Queue):
    """S18: a touch adds the ttr to what is left."""

    def touch(self, number: int, client: str) -> None:
        item = self.held(number, client)
        item.until += item.ttr


class CloseForgets(Queue):
    """S7: a client that closes takes its jobs with it until they expire."""

    def close(self, client: str) -> None:
        self.catch_up()
        self.line = [waiting for waiting in self.line if waiting[0] != client]


class CloseCountsTimeout(Queue):
    """S15: a close counts as a timeout."""

    def close(self, client: str) -> None:
        for item in self.items.values():
            item.timeouts += item.owner == client
        super().close(client)


class LastInLineFirst(Queue):
    """KB-12: the line of those that wait is upset by who leaves it."""

    def leave_line(self, place: int) -> None:
        self.line[place], self.line[-1] = self.line[-1], self.line[place]
        self.line.pop()


class PausedForGood(Queue):
    """L5: whoever waits on a paused tube is not woken when the pause ends, only by the next put."""

    def catch_up(self) -> None:
        line, ends = self.line, any(self.is_due(until) for until in self.pauses.values())
        if ends:
            self.line = []
        super().catch_up()
        if ends:
            self.line = line


class PauseIgnored(Queue):
    """S29: a paused tube gives its jobs away all the same."""

    def pause(self, tube: str, seconds: int) -> None:
        self.catch_up()


class DeletedStaysBuried(Queue):
    """SPEC 10: a buried job that is deleted stays in the order of the buried."""

    def forget(self, item: Item) -> None:
        del self.items[item.number]


class TtrAfterWait(Queue):
    """13: the ttr of a job that somebody waited for never passes."""

    def serve(self) -> None:
        before = len(self.mail)
        super().serve()
        for _, number in self.mail[before:]:
            if number is not None:
                self.items[number].until = 10**9


class CrashesOnEmptyWait(Queue):
    """54: a reserve with nothing to wait for crashes."""

    def reserve(self, client: str, tubes: Sequence[str], timeout: int | None = 0) -> int | None:
        found = super().reserve(client, tubes, timeout)
        if found is None and timeout == 0:
            raise ZeroDivisionError(timeout)
        return found


BUGS: Final[Sequence[type[Queue]]] = [
    each
    for each in list(globals().values())
    if isinstance(each, type) and issubclass(each, Queue) and each is not Queue
]
