"""Answers to clients, and clients as a snapshot carries them."""

import pytest

from jsm.job import ClientID, JobID
from jsm.reservations import ClientResvEntry, Reservation, ReservationStatus

MATCHED = Reservation("r1", ClientID("a"), ReservationStatus.MATCHED, JobID(7), b"secret")


def test_there_are_the_seeds_six_statuses() -> None:
    assert [status.name for status in ReservationStatus] == [
        "UNKNOWN", "QUEUED", "DEADLINE_SOON", "MATCHED", "TIMEOUT", "ERROR",
    ]  # fmt: skip


def test_the_text_of_a_match_names_the_job_and_hides_the_body() -> None:
    assert str(MATCHED) == "Reservation(request='r1' client='a' status=Matched job=7 body_size=6)"
    assert MATCHED.body_size == 6


@pytest.mark.parametrize("status", [ReservationStatus.TIMEOUT, ReservationStatus.QUEUED])
def test_the_text_of_another_answer_names_no_job(status: ReservationStatus) -> None:
    assert str(Reservation("r", ClientID("a"), status)) == f"Reservation(request='r' client='a' status={status})"


def test_the_text_of_an_error_says_which() -> None:
    failed = Reservation("r", ClientID("a"), ReservationStatus.ERROR, error=ValueError("why"))
    assert str(failed).endswith("error=why)")


def test_an_answer_and_an_entry_cant_be_changed() -> None:
    with pytest.raises(AttributeError):
        MATCHED.job_id = JobID(1)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        ClientResvEntry(ClientID("a")).uses = None  # type: ignore[misc]


def test_a_new_entry_waits_for_nothing_and_is_owed_nothing() -> None:
    entry = ClientResvEntry(ClientID("a"))
    assert (entry.uses, entry.watches, entry.is_waiting, entry.deadline_at, entry.tick_at, entry.owed) == (
        None, (), False, None, None, None,
    )  # fmt: skip
