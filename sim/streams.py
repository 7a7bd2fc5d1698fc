"""Random numbers: one named stream per cause, so that a change in one place disturbs no other.

A stream is keyed by (seed, replication, name) and by nothing else: not by the scenario, the order in which
streams are asked for, or the process. Two scenarios that differ in the number of workers see the same arrivals
(common random numbers), and replications may run in any order on any number of processes.
"""

from hashlib import blake2b

import numpy as np


class Streams:
    """The streams of one replication of one seed."""

    __slots__ = ("replication", "seed")

    def __init__(self, seed: int, replication: int = 0) -> None:
        if seed < 0 or replication < 0:
            raise ValueError(f"seed = {seed} and replication = {replication} must be 0 or more")
        self.seed = seed
        self.replication = replication

    def stream(self, name: str) -> np.random.Generator:
        """A generator at the start of the stream; the same name gives the same numbers again.

        By convention the name is the path of the cause: `producers/web/arrivals`, `workers/pool/3/service`.
        """
        digest = blake2b(name.encode(), digest_size=16).digest()
        words = tuple(int.from_bytes(digest[start : start + 4], "little") for start in range(0, 16, 4))
        sequence = np.random.SeedSequence(self.seed, spawn_key=(self.replication, *words))
        return np.random.Generator(np.random.PCG64(sequence))
