"""What refusals and bad snapshots say, to the letter."""

import pytest

from jsm.errors import BadValueError
from jsm.machine import Machine
from tests.error_texts import TARGET, all_texts, texts_of_refusals, texts_of_snapshots
from tests.snapshot_faults import SPOILT


def test_every_text_is_as_written_down() -> None:
    """When a text changes on purpose: python -m tests.error_texts, and read the differences."""
    assert all_texts().splitlines() == TARGET.read_text("utf-8").splitlines()


def test_every_fault_has_its_text() -> None:
    assert len(texts_of_snapshots()) == len(SPOILT)
    assert len(texts_of_refusals()) > 400


def test_settings_of_a_machine() -> None:
    for value in (0, -1, True, 1.0):
        with pytest.raises(BadValueError, match=rf"^units_per_second = {value}: expected an integer of at least 1$"):
            Machine(units_per_second=value)  # type: ignore[arg-type]
    for value in (-1, False, 1.0):
        expected = rf"^max_job_size = {value}: expected a number of bytes of at least 0$"
        with pytest.raises(BadValueError, match=expected):
            Machine(max_job_size=value)  # type: ignore[arg-type]
