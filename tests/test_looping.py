"""The server from the moment at which clients can connect."""

import greenstalk

from tests.client_servers import eventually
from tests.servers import jsm_serve


def test_a_drain_that_comes_before_the_loop_runs_is_done_when_it_does() -> None:
    with jsm_serve() as server:  # takes connections by now, and is still importing its loop
        server.drain()
        with greenstalk.Client(server.address) as client:
            eventually(lambda: client.stats()["draining"] == "true")
