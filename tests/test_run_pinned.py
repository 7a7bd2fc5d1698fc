"""The bundled scenarios give what they gave: a new key of a scenario leaves old ones alone."""

from hashlib import blake2b

import pytest

from jsm.trace import encode_trace
from sim.run import Simulation
from sim.scenario import load_scenario
from tests.machines import Notes

PINNED = {
    "drain": ([], "0baa5aa271f463cc7386bf13"),
    "mg1-lognormal": (["run.duration_seconds=900", "run.warmup_seconds=0"], "9c6805c888b1dcd67173ad49"),
    "mm1": (["run.duration_seconds=900", "run.warmup_seconds=0"], "0be1fdbdadf7c0e8d14d701d"),
    "mm4": (["run.duration_seconds=300", "run.warmup_seconds=0"], "96bff7fc3501bea09f0c5d5c"),
    "nasa-ipsc": (["producers.arrivals.limit=800"], "03e7e16d59df05ff49d02a9f"),
    "priorities": (["run.duration_seconds=900", "run.warmup_seconds=0"], "f759af88f825983bd7fad1eb"),
    "steady": (["run.duration_seconds=200", "run.warmup_seconds=0"], "5debe4ae62d6fd4c19438e4f"),
    "ttr-retry": (["run.duration_seconds=200", "run.warmup_seconds=0"], "c0a7b5af1b1fbfdbf9ca5f2b"),
}
"""What shortens a scenario, and the digest of every call and transition of the run.

A change of one of these changes results that were reported before: it needs a line in the changelog.
"""


@pytest.mark.parametrize("name", PINNED)
def test_a_bundled_scenario_gives_the_bytes_that_it_gave(name: str) -> None:
    overrides, pinned = PINNED[name]
    recorder = Notes()
    Simulation(load_scenario(name, overrides), recorder=recorder).run()
    digest = blake2b(digest_size=12)
    for line in encode_trace(recorder.records, units_per_second=1_000_000):
        digest.update(line.encode())
    assert len(recorder.records) > 500
    assert digest.hexdigest() == pinned
