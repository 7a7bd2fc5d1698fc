"""A tube that several clients refer to has as many references after a restore."""

from jsm.machine import Machine
from tests.machines import driver_of, file_of, machine_from


def test_every_reference_is_counted() -> None:
    machine = Machine()
    d = driver_of(machine)
    for client in "abc":
        d.call("use_tube", client, "t")
        d.call("watch_tube", client, "t")
        assert d.ask(client, "t") == "queued"
    heir = driver_of(machine_from([file_of(machine)]))
    found = heir.stats("t")
    assert [found[f"current-{what}"] for what in ("using", "watching", "waiting")] == [3, 3, 3]
    for client in "abc":
        assert "t" in heir.call("get_tubes")
        heir.call("close_client", client)
    assert heir.call("get_tubes") == ["default"]
