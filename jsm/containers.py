"""Whether the containers of a machine's state agree: what the jobs, tubes and clients imply is in each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jsm._heap import ID_BITS, ID_MASK, KeyHeap
from jsm.limits import URGENT_PRIORITY_LIMIT
from jsm.states import BURIED, DELAYED, READY, RESERVED

if TYPE_CHECKING:
    from jsm._client import Client
    from jsm._state import State
    from jsm.machine import Machine


def containers_agree(machine: Machine) -> bool:
    """Whether every heap, index and count is what the jobs, tubes and clients imply. O(n log n)."""
    state = machine._state
    try:
        implied = _implied_keys(state)
    except KeyError:
        return False
    for heap, keys in zip(_heaps_of(state), implied, strict=True):
        if not _holds(heap, keys):
            return False
    return _jobs_agree(state) and _clients_agree(state) and _tubes_agree(state)


def _holds(heap: KeyHeap, keys: list[int]) -> bool:
    """Whether a heap's live keys are these, and its first key is the lowest of them and live."""
    inside, stale = heap.keys, heap.stale
    if not keys:
        return not inside
    if not inside or inside[0] != keys[0]:
        return False
    if stale:
        live = [key for key in inside if key not in stale]
        return sorted(live) == keys and len(inside) == len(live) + len(stale)
    return inside == keys or sorted(inside) == keys


def _jobs_agree(state: State) -> bool:
    last = 0
    for job_id, job in state.jobs.items():
        kind, key = job.state, job.key
        if job_id <= last or job.id != job_id or key & ID_MASK != job_id or (job.owner is None) is (kind is RESERVED):
            return False
        if kind is READY and key >> ID_BITS != job.priority:
            return False
        last = job_id
    return last < state.next_job_id


def _clients_agree(state: State) -> bool:
    for name, client in state.clients.items():
        ask, held = client.ask, client.held.keys
        if client.id != name or client.margin != (held[0] >> ID_BITS << ID_BITS | ask if ask and held else 0):
            return False
    waiting = _implied_waiting(state)
    return state.waiting == waiting and (len(waiting) < 2 or list(state.waiting) == list(waiting))


def _tubes_agree(state: State) -> bool:
    urgent = buried = 0
    paused, matchable = {}, {}
    uses = [client.uses for client in state.clients.values()]
    watches = [tube for client in state.clients.values() for tube in client.watches.values()]
    homes = [job.tube for job in state.jobs.values() if job.state is RESERVED]
    for name, tube in state.tubes.items():
        if (tube.name, tube.reserved, tube.using, tube.watching) != (
            name, homes.count(tube), uses.count(tube), watches.count(tube),
        ):  # fmt: skip
            return False
        if tube.urgent != sum([key >> ID_BITS < URGENT_PRIORITY_LIMIT for key in tube.ready]):
            return False
        urgent += tube.urgent
        buried += len(tube.buried)
        if tube.pause_ends_at is not None:
            paused[tube.serial] = tube
        if tube.matchable:
            matchable[tube.serial] = tube
    return (state.urgent, state.buried, state.paused, state.matchable) == (urgent, buried, paused, matchable)


def _heaps_of(state: State) -> list[KeyHeap]:
    """Every heap of a state, in an order that depends on the order of tubes and clients only."""
    heaps = [state.delays, state.expiries, state.pause_ends, state.wait_deadlines, state.margins]
    for tube in state.tubes.values():
        heaps += (tube.ready, tube.delayed, tube.buried, tube.waiters)
    heaps += [client.held for client in state.clients.values()]
    return heaps


def _implied_keys(state: State) -> list[list[int]]:
    """The keys that the jobs, tubes and clients imply for each of `_heaps_of`, sorted. O(n log n).

    Raises `KeyError` when something refers to a tube or a client that is gone, or is in no state.
    """
    at_tube = {tube: 5 + 4 * place for place, tube in enumerate(state.tubes.values())}
    at_client = {client: 5 + 4 * len(at_tube) + place for place, client in enumerate(state.clients.values())}
    keys: list[list[int]] = [[] for _ in range(5 + 4 * len(at_tube) + len(at_client))]
    delays, expiries, pause_ends, wait_deadlines, margins, *_ = keys
    for job in state.jobs.values():
        kind, key, place = job.state, job.key, at_tube[job.tube]
        if kind is RESERVED:
            expiries.append(key)
            keys[at_client[job.owner]].append(key)  # type: ignore[index]  # None raises
        else:
            if kind is DELAYED:
                delays.append(key)
            keys[place + _OFFSETS[kind]].append(key)
    for client, place in at_client.items():
        ask, held = client.ask, keys[place]
        if len(held) > 1:
            held.sort()
        if ask:
            if client.deadline_at is not None:
                wait_deadlines.append(client.deadline_at << ID_BITS | ask)
            if held:
                margins.append(held[0] >> ID_BITS << ID_BITS | ask)
            for tube in client.waits_on:
                keys[at_tube[tube] + 3].append(ask)
    for tube in at_tube:
        if tube.pause_ends_at is not None:
            pause_ends.append(tube.pause_ends_at << ID_BITS | tube.serial)
    for each in keys:
        if len(each) > 1:
            each.sort()
    return keys


_OFFSETS: Final = {READY: 0, DELAYED: 1, BURIED: 2}


def _implied_waiting(state: State) -> dict[int, Client]:
    """The waiting clients, in order of asking."""
    asking = {client.ask: client for client in state.clients.values() if client.ask}
    return asking if len(asking) < 2 else dict(sorted(asking.items()))
