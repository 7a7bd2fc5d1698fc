"""Where work is done that can be done side by side: in processes of this machine, or on an existing Dask cluster.

The results come in the order of the work, so that what is made of them doesn't depend on where it was done, nor on how
many did it. Processes are joblib's (loky). joblib could hand work to Dask, too, but it does the work itself where the
cluster has a single thread, and waits for ever when all workers are gone; so Dask is asked directly.
"""

from __future__ import annotations

import os
import re
from collections import deque
from contextlib import contextmanager
from itertools import islice
from socket import create_connection
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from warnings import catch_warnings, simplefilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

_ADDRESS: Final = re.compile(r"(?:tcp|tls)://(?:\[[0-9A-Fa-f:.]+\]|[^\s/:\[\]@]+):([0-9]{1,5})/?")
_PORT_MAX: Final = 65535
_CONNECT_SECONDS: Final = 5
_LENGTH_BYTES: Final = 8
_GREETING_BYTES_MAX: Final = 1 << 20
_LOOK_SECONDS: Final = 2  # between two looks whether the cluster is still there
_PATIENCE_SECONDS: Final = 20  # for workers that are all gone to come back
_QUIETED: Final = ("distributed", "distributed.core", "distributed.comm", "distributed.client", "tornado.application")


class EngineError(ValueError):
    """Work can't be done there; the text names the address, what is wrong and what to do, in one line."""


class Engine(Protocol):
    """Does pieces of work; `open_engine` gives one."""

    @property
    def workers(self) -> int:
        """How many pieces are worked on at the same time."""

    @property
    def place(self) -> str:
        """Where, in words."""

    def run(self, function: Callable[..., T], pieces: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """The results of `function(*piece)` in the order of the pieces, each once it and those before it are there.

        Whoever has enough closes the iterator: what was not begun by then is not begun. `function`, what it is given
        and what it returns are sent to other processes, so the function must be defined in a module. Raises what the
        function raises, and `EngineError` when the workers are lost.
        """


@contextmanager
def open_engine(*, processes: int = 1, cluster: str | None = None) -> Iterator[Engine]:
    """An engine for as long as the context lasts: `processes` of this machine (0: one a core), or those of a cluster.

    `cluster` is the address of a running Dask scheduler, `tcp://HOST:PORT`. Raises `EngineError` for an address that
    is none, when no scheduler answers there within 5 seconds, when it has no workers, when these lack this project,
    and when `distributed` is not installed.
    """
    if cluster is None:
        yield _Processes(processes or os.cpu_count() or 1)
        return
    check_address(cluster)
    try:
        import distributed
    except ImportError:
        remedy = "install it: pip install 'beanstalk-jsm[cluster]'"
        raise EngineError(f"{cluster}: Dask is not installed here; {remedy}") from None
    with _quiet():
        client = _client(distributed, cluster)
        try:
            yield _Cluster(client, cluster, _threads(client, cluster))
        finally:
            client.close()


def check_address(cluster: str) -> None:
    """Raise `EngineError` for what is no address of a scheduler."""
    found = _ADDRESS.fullmatch(cluster)
    if found is None or not 0 < int(found[1]) <= _PORT_MAX:
        raise EngineError(
            f"{cluster}: is no address of a Dask scheduler; give tcp://HOST:PORT, such as tcp://host:8786"
        )


class _Processes:
    """Processes of this machine; a single one is this very process."""

    place = "this machine"

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, function: Callable[..., T], pieces: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """See `Engine.run`."""
        if self.workers == 1:
            for piece in pieces:
                yield function(*piece)
            return
        from joblib import Parallel, delayed

        work = delayed(function)
        # No more than the workers can begin: of work that waits when a run is closed, loky's thread fails (KeyError).
        parallel = Parallel(n_jobs=self.workers, return_as="generator", batch_size=1, pre_dispatch=self.workers)
        results = parallel(work(*piece) for piece in pieces)
        try:
            for result in results:  # noqa: UP028 - `yield from` would pass the closing on to joblib, which warns
                yield result
        finally:
            with catch_warnings():
                simplefilter("ignore", UserWarning)  # that results are left: nobody wants them
                results.close()


class _Cluster:
    """The workers of a Dask cluster."""

    def __init__(self, client: Any, place: str, workers: int) -> None:
        self.place = place
        self.workers = workers
        self._client = client

    def run(self, function: Callable[..., T], pieces: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """See `Engine.run`. Twice as many pieces as there are workers are on their way at a time."""
        left = iter(pieces)
        begun = deque(self._begin(function, piece) for piece in islice(left, 2 * self.workers))
        try:
            while begun:
                result = self._result(begun[0])
                begun.popleft()
                begun.extend(self._begin(function, piece) for piece in islice(left, 1))
                yield result
        finally:
            self._client.cancel(list(begun))

    def _begin(self, function: Callable[..., T], piece: tuple[Any, ...]) -> Any:
        return self._client.submit(function, *piece, pure=False)

    def _result(self, future: Any) -> Any:
        """Wait for a piece, as long as there is somebody who works on it."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        seen_at = monotonic()
        while True:
            seconds = None if future.done() else _LOOK_SECONDS
            try:
                return future.result(timeout=seconds)
            except (CancelledError, CommClosedError, KilledWorker) as error:
                lost = f"its workers were lost ({_first_line(error)})"
                raise EngineError(f"{self.place}: {lost}; start them anew") from None
            except TimeoutError:
                if seconds is None:  # the piece's own
                    raise
            if self._has_workers():
                seen_at = monotonic()
            elif monotonic() - seen_at > _PATIENCE_SECONDS:
                raise EngineError(f"{self.place}: the scheduler or all of its workers are gone; start them anew")

    def _has_workers(self) -> bool:
        try:
            return bool(self._client.ncores())
        except Exception:  # there is no scheduler to ask
            return False


def _client(distributed: Any, cluster: str) -> Any:
    """A connection to the scheduler."""
    try:
        if cluster.startswith("tcp://"):
            _expect_greeting(cluster)
        return distributed.Client(cluster, timeout=_CONNECT_SECONDS, set_as_default=False)
    except Exception as error:  # whatever comes of talking to a stranger
        remedy = f"start one there (dask scheduler --port {cluster.rstrip('/').rpartition(':')[2]}), or name another"
        raise EngineError(f"{cluster}: no Dask scheduler answers ({_first_line(error)}); {remedy}") from None


def _expect_greeting(cluster: str) -> None:
    """Raise `OSError` unless somebody listens who begins as a scheduler does: with the length of a short message.

    The library waits for ever for a stranger who says nothing, and takes whatever another says for a length.
    """
    host, _, port = cluster.removeprefix("tcp://").rstrip("/").rpartition(":")
    with create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS) as stranger:
        greeting = stranger.recv(_LENGTH_BYTES)
    if len(greeting) < _LENGTH_BYTES or int.from_bytes(greeting, "little") > _GREETING_BYTES_MAX:
        raise OSError("somebody else listens there")


def _threads(client: Any, cluster: str) -> int:
    """How many pieces the cluster's workers do at the same time, once all of them have shown that they can."""
    threads = sum(client.ncores().values())
    if not threads:
        raise EngineError(f"{cluster}: the scheduler has no workers; start some: dask worker {cluster}")
    try:
        client.run(_probe)
    except Exception as error:  # the workers' own
        remedy = "install the same beanstalk-jsm[cluster] there as here"
        raise EngineError(f"{cluster}: its workers can't run this project ({_first_line(error)}); {remedy}") from None
    return int(threads)


def _probe() -> str:
    """What a worker must be able to do: import this module and the machine."""
    from jsm.machine import Machine

    return Machine.__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from logging what is raised anyway."""
    import logging

    loggers = [logging.getLogger(name) for name in _QUIETED]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
