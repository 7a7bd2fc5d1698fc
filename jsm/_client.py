"""A client as the machine keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsm._heap import KeyHeap

if TYPE_CHECKING:
    from jsm._tube import Tube
    from jsm.job import ClientID, TubeName


class Client:
    """Whoever reserves: the jobs it holds, its references to tubes, its one wait."""

    __slots__ = ("ask", "deadline_at", "held", "id", "margin", "request_id", "uses", "waits_on", "watches")

    def __init__(self, client_id: ClientID) -> None:
        self.id = client_id
        self.held = KeyHeap()  # expiry, job id
        self.uses: Tube | None = None
        self.watches: dict[TubeName, Tube] = {}
        self.ask = 0  # its number in the order of asking while it waits; 0: it doesn't wait
        self.request_id = ""  # this and the deadline are those of its last wait
        self.waits_on: list[Tube] = []
        self.deadline_at: int | None = None
        self.margin = 0  # its key in `State.margins` while it waits and holds a job, else 0
