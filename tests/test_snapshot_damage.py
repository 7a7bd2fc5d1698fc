"""Entries that no machine can have: each is refused with what is wrong and where, and the old state stays."""

import pytest

from jsm.errors import SnapshotError
from jsm.machine import Machine
from tests.machines import busy_machine, driver_of, file_of, full_machine, parts_of, restore
from tests.snapshot_faults import SPOILT


@pytest.mark.parametrize("fault", SPOILT)
def test_a_bad_entry_is_refused_and_the_old_state_stays(fault: str) -> None:
    message, spoil = SPOILT[fault]
    target = busy_machine()
    before = file_of(target)
    with pytest.raises(SnapshotError, match=message):
        restore(target, spoil(parts_of(full_machine())))
    assert file_of(target) == before
    assert target.next_tick_at() == 8
    assert driver_of(target).tick_at(7) == []


def test_what_the_faults_spoil_is_good_before() -> None:
    restore(busy_machine(), parts_of(full_machine()))


def test_a_bad_entry_ends_the_whole_restore() -> None:
    parts = parts_of(full_machine())
    snapshot = Machine().snapshot()
    snapshot.restore_header(parts.header)
    with pytest.raises(SnapshotError):
        snapshot.restore_jobs([parts.jobs[0], parts.jobs[0]])
    with pytest.raises(SnapshotError, match="header first"):
        snapshot.restore_jobs(parts.jobs[1:])
