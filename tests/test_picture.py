"""Pictures: taking one changes nothing, it shows everything, and differences are told field by field."""

import pytest

from jsm.errors import StoppedError
from jsm.machine import Machine
from models.picture import STRANGER, differences, looks_of, parsed, picture_of
from tests.machines import file_of, full_machine
from tests.scenes import with_client, with_job, with_tube


def test_a_picture_changes_nothing_of_the_machine() -> None:
    machine = full_machine()
    before = file_of(machine)
    picture = picture_of(machine)
    assert file_of(machine) == before
    assert list(differences(picture, picture_of(machine))) == []


def test_a_picture_shows_jobs_clients_tubes_waits_and_owed_answers() -> None:
    machine = full_machine()
    picture = picture_of(machine)
    assert {str(job.state) for job in picture.jobs.values()} == {"ready", "delayed", "reserved", "buried"}
    assert picture.bury_numbers == {4: 1}
    assert [wait.client_id for wait in picture.waiting] == ["b"]
    assert [answer.client_id for answer in picture.owed] == ["c"]
    assert list(picture.tubes) == list(picture.tube_names) == machine.get_tubes()
    assert picture.tubes["t"].pause_seconds == 7
    assert picture.declared == picture.streamed == (len(picture.jobs), len(picture.clients))
    assert picture.next_tick_at == machine.next_tick_at()


def test_looks_count_as_commands_and_change_nothing_else() -> None:
    machine = full_machine()
    picture = picture_of(machine)
    looks = looks_of(machine, picture)
    after = picture_of(machine)
    assert list(differences(picture, after, apart_from=("commands",))) == []
    assert after.commands["stats-job"] - picture.commands["stats-job"] == len(picture.jobs)
    assert after.commands["peek-ready"] - picture.commands["peek-ready"] == len(picture.tubes)
    assert looks.peeks["default"] == (None, None, None)
    assert looks.peeks["t"][2] == picture.jobs[4]
    assert looks.clients.unknown == [STRANGER]
    assert looks.stats["current-jobs-buried"] == 1
    assert looks.tubes["t"]["name"] == "t"


def test_nothing_is_seen_of_a_stopped_machine() -> None:
    machine = Machine()
    machine.stop()
    with pytest.raises(StoppedError):
        picture_of(machine)


def test_differences_name_the_field_and_both_values() -> None:
    picture = picture_of(full_machine())
    assert list(differences(picture, picture._replace(clock=11))) == [("clock", 10, 11)]
    assert list(differences(picture, with_job(picture, 2, kicks=3))) == [("jobs[2].kicks", 0, 3)]
    assert list(differences(picture, with_tube(picture, "t", pauses=5))) == [("tubes['t'].pauses", 1, 5)]
    changed = with_client(picture, "w", uses="t")
    assert list(differences(picture, changed)) == [("clients['w'].uses", None, "t")]
    fewer = picture._replace(jobs={number: job for number, job in picture.jobs.items() if number != 2})
    assert list(differences(picture, fewer)) == [("jobs[2]", picture.jobs[2], None)]
    assert list(differences(picture, picture._replace(clock=11), apart_from=("clock",))) == []


def test_differences_notice_another_order() -> None:
    picture = picture_of(full_machine())
    turned = picture._replace(tubes=dict(reversed(picture.tubes.items())))
    ((field, old, new),) = differences(picture, turned)
    assert (field, old) == ("tubes", new[::-1])


def test_statistics_are_read_line_by_line() -> None:
    assert parsed(b'---\nname: "a b"\nage: -3\nversion: "1.12"\nuptime: 0\n') == {
        "name": "a b",
        "age": -3,
        "version": "1.12",
        "uptime": 0,
    }


@pytest.mark.parametrize("text", [b"", b"name: 1\n", b"---\nname: 1", b"---\nname\n", b"---\na: 1\na: 2\n"])
def test_what_is_no_statistics_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"statistics|pair"):
        parsed(text)
