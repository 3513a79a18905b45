"""Mappers over worker processes (loky) and over a cluster (Dask), both through joblib.

To processes on this machine ``fn`` is sent once a map, whatever it holds; items travel one by one, so let those carry
positions rather than data. To Dask ``fn`` travels with its items. NumPy arrays above a megabyte in items arrive
read-only.
"""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import joblib
from joblib.externals.loky.process_executor import ShutdownExecutorError, TerminatedWorkerError

from whence.execution.parcel import packed
from whence.mapping import AbstractMapper

__all__ = ["JoblibMapper", "WorkerError"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerError(RuntimeError):
    """Workers cannot be had, or were killed more often than the mapper may resubmit."""


@dataclass(frozen=True)
class JoblibMapper(AbstractMapper):
    """Applies ``fn`` in ``jobs`` processes with ``threads`` threads each; exceptions of ``fn`` come through unchanged.

    When a worker is killed (out of memory, say) the items without a result are resubmitted, ``retries`` times in all.
    A consumer that stops early ends the workers; maps that run side by side share them, so a neighbour's items are then
    resubmitted. ``jobs=1`` calls ``fn`` in this process, as ``SerialMapper`` does.

    ``backend="dask"`` uses the active ``dask.distributed.Client``: ``jobs`` then says only into how many pieces work
    is cut, for how many run at once and with how many threads is settled where the cluster is started, and Dask
    itself repeats what a lost worker had.

    Raises ValueError if ``jobs`` or ``threads`` is below 1, ``retries`` below 0, or ``threads`` is set for Dask.
    ``map`` raises WorkerError when resubmitting did not help, or at once if Dask is not installed or has no client.

    >>> JoblibMapper(jobs=2).concat(abs, [-1, 2, -3])
    [1, 2, 3]
    """

    jobs: int = 2
    threads: int = 1
    retries: int = 3
    backend: Literal["loky", "dask"] = "loky"

    def __post_init__(self) -> None:
        for name, least in (("jobs", 1), ("threads", 1), ("retries", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.backend not in ("loky", "dask"):
            raise ValueError(f"backend must be 'loky' or 'dask', not {self.backend!r}")
        if self.backend == "dask" and self.threads != 1:
            raise ValueError("threads cannot be set for Dask from here; set them where its workers are started")

    @property
    def shards(self) -> int:
        return self.jobs

    def map(
        self, fn: Callable[[Item], Result], items: Sequence[Item], done: Collection[int] = ()
    ) -> Iterator[tuple[int, Result]]:
        # Checked here and not in the generator, so that it raises at the call and not at the first result.
        if self.backend == "dask":
            _check_dask()
        skip = set(done)
        waiting = [position for position in range(len(items)) if position not in skip]
        return self._rounds(fn, items, waiting) if self._at_hand else self._packed(fn, items, waiting)

    @property
    def _at_hand(self) -> bool:
        """Whether ``fn`` is called here, or is sent by Dask, whose workers may not see this machine's files."""
        return self.jobs == 1 or self.backend == "dask"

    def _packed(
        self, fn: Callable[[Item], Result], items: Sequence[Item], waiting: list[int]
    ) -> Generator[tuple[int, Result], None, None]:
        with packed(fn) as parcel:
            yield from self._rounds(parcel, items, waiting)

    def _rounds(
        self, fn: Callable[[Item], Result], items: Sequence[Item], waiting: list[int]
    ) -> Generator[tuple[int, Result], None, None]:
        failures = 0
        while waiting:
            finished: set[int] = set()
            try:
                with _closing(self._submit(fn, items, waiting)) as results:
                    for position, value in results:
                        finished.add(position)
                        yield position, value
                return
            except (TerminatedWorkerError, RuntimeError) as error:
                if not _workers_gone(error):
                    raise
                waiting = [position for position in waiting if position not in finished]
                failures += 1
                if failures > self.retries:
                    raise WorkerError(
                        f"workers were killed in {failures} rounds and {len(waiting)} of {len(items)} items have no "
                        f"result (positions {waiting[:5]}{'...' if len(waiting) > 5 else ''}). Most often the memory "
                        "is exhausted: use fewer jobs or smaller pieces"
                    ) from error

    def _submit(self, fn: Callable[[Item], Result], items: Sequence[Item], waiting: Sequence[int]) -> Any:
        return self._parallel()(joblib.delayed(_call)(fn, position, items[position]) for position in waiting)

    def _parallel(self) -> Any:
        # The configuration holds for the whole thread: it must not stay in force while the consumer has control.
        if self.backend == "dask":
            with joblib.parallel_config(backend="dask"):
                return joblib.Parallel(n_jobs=self.jobs, return_as="generator_unordered")
        with joblib.parallel_config(backend="loky", inner_max_num_threads=self.threads):
            return joblib.Parallel(n_jobs=self.jobs, return_as="generator_unordered")


def _call(fn: Callable[[Item], Result], position: int, item: Item) -> tuple[int, Result]:
    return position, fn(item)


@contextlib.contextmanager
def _closing(results: Any) -> Iterator[Any]:
    """Ends the workers' work when the consumer stops early."""
    try:
        yield results
    finally:
        # joblib warns that tasks were cancelled; whoever closes a generator early means just that.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"[\s\S]*tasks", category=UserWarning)
            results.close()


def _workers_gone(error: BaseException) -> bool:
    # Maps side by side share their workers: the second kind is seen when another map was closed early.
    return isinstance(error, TerminatedWorkerError) or isinstance(error.__context__, ShutdownExecutorError)


def _check_dask() -> None:
    if importlib.util.find_spec("distributed") is None:
        raise WorkerError("Dask is not installed; install it with: pip install 'dask[distributed]'")
    from distributed import get_client

    try:
        get_client()
    except ValueError as error:
        raise WorkerError(
            "no Dask client is active; start one first: dask.distributed.Client() on this machine, "
            "or Client('tcp://scheduler:8786') for a cluster"
        ) from error
