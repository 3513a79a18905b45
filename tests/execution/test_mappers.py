"""Worker processes: killed ones are replaced, errors come through, and stopping early does not hang."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest

from whence.execution import JoblibMapper, WorkerError
from whence.execution import mappers as module


class Unlucky(Exception):
    """An error with an attribute that must survive the way back."""

    def __init__(self, item: int) -> None:
        super().__init__(item)
        self.item = item


class Heavy:
    """A function with a large state, which leaves a mark each time it is serialised or read back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = np.arange(300_000.0)

    def __getstate__(self) -> dict[str, object]:
        (self.folder / f"packed-{time.monotonic_ns()}").touch()
        return self.__dict__

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        (self.folder / f"opened-{os.getpid()}-{time.monotonic_ns()}").touch()

    def __call__(self, item: int) -> float:
        return float(self.state[item]) + item


def square(item: int) -> int:
    return item * item


def killed_once(folder: Path, item: int) -> int:
    """Kills its worker on the first attempt at item 5."""
    marker = folder / "killed"
    if item == 5 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def always_killed(item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def fails_at_four(item: int) -> int:
    if item == 4:
        raise Unlucky(item)
    return item


def threads_in_worker(_: int) -> tuple[int, str | None]:
    return os.getpid(), os.environ.get("OMP_NUM_THREADS")


def slow(item: int) -> int:
    time.sleep(0.02)
    return item


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    found = list(JoblibMapper(2).map(partial(killed_once, tmp_path), range(20)))
    assert (tmp_path / "killed").exists()
    assert sorted(found) == [(item, item * item) for item in range(20)]


def test_a_killed_worker_does_not_redo_what_is_done(tmp_path: Path) -> None:
    found = dict(JoblibMapper(2).map(partial(killed_once, tmp_path), range(20), done={0, 19}))
    assert (tmp_path / "killed").exists()
    assert found == {item: item * item for item in range(1, 19)}


def test_an_item_that_always_kills_ends_in_a_clear_error() -> None:
    found = []
    with pytest.raises(WorkerError, match=r"killed in 2 rounds .*use fewer jobs"):
        found.extend(JoblibMapper(2, retries=1).map(always_killed, range(6)))
    assert 3 not in dict(found)


def test_without_retries_the_first_kill_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="killed in 1 round"):
        list(JoblibMapper(2, retries=0).map(partial(killed_once, tmp_path), range(8)))


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_exception_comes_through_unchanged(jobs: int) -> None:
    with pytest.raises(Unlucky) as caught:
        JoblibMapper(jobs).concat(fails_at_four, range(8))
    assert caught.value.item == 4


def test_a_runtime_error_of_the_function_is_not_retried(tmp_path: Path) -> None:
    def counted(item: int) -> int:
        (tmp_path / f"{item}-{time.time_ns()}").touch()
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match=r"^mine$"):
        JoblibMapper(2).concat(counted, [7])
    assert len(list(tmp_path.iterdir())) == 1


def test_stopping_early_is_quick_and_quiet() -> None:
    results = JoblibMapper(2).map(slow, range(5000))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for position, value in results:
            assert position == value
            break
        start = time.monotonic()
        results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 20  # all of it would take 50 s
    assert [str(warning.message) for warning in heard] == []
    assert JoblibMapper(2).concat(square, range(4)) == [0, 1, 4, 9]


# joblib's dying pool prints an error of its own thread when another map still had work in it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_closing_one_map_leaves_its_neighbour_whole() -> None:
    mapper = JoblibMapper(2)
    first, second = mapper.map(slow, range(500)), mapper.map(slow, range(20))
    found = [next(second)]
    next(first)
    first.close()  # type: ignore[attr-defined]
    assert sorted([*found, *second]) == [(item, item) for item in range(20)]


def test_the_configuration_does_not_leak_to_the_consumer() -> None:
    results = JoblibMapper(2).map(slow, range(8))
    next(results)
    assert joblib.Parallel().n_jobs == 1
    assert len(list(results)) == 7


@pytest.mark.parametrize("threads", [1, 2])
def test_workers_are_other_processes_with_limited_threads(threads: int) -> None:
    found = JoblibMapper(2, threads=threads).concat(threads_in_worker, range(4))
    assert {limit for _, limit in found} == {str(threads)}
    assert os.getpid() not in {pid for pid, _ in found}


def test_local_functions_and_closures_travel() -> None:
    offset = 10
    assert JoblibMapper(2).concat(lambda item: item + offset, range(4)) == [10, 11, 12, 13]


def test_a_large_function_is_serialised_once_and_read_once_a_worker(tmp_path: Path) -> None:
    assert JoblibMapper(2).concat(Heavy(tmp_path), range(60)) == [2.0 * item for item in range(60)]
    opened = [path.name.split("-")[1] for path in tmp_path.glob("opened-*")]
    assert len(list(tmp_path.glob("packed-*"))) == 1
    assert 1 <= len(opened) == len(set(opened)) <= 2


def test_a_function_that_is_called_here_is_not_serialised(tmp_path: Path) -> None:
    JoblibMapper(1).concat(Heavy(tmp_path), range(4))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("early", [True, False])
def test_nothing_is_left_among_the_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    results = JoblibMapper(2).map(slow, range(8))
    next(results)
    (folder,) = tmp_path.glob("whence-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    results.close() if early else list(results)  # type: ignore[attr-defined]
    assert list(tmp_path.glob("whence-*")) == []


def test_a_new_function_is_not_mistaken_for_the_one_before() -> None:
    mapper = JoblibMapper(2)
    for offset in range(3):
        assert mapper.concat(lambda item, offset=offset: item + offset, range(4)) == [
            offset + item for item in range(4)
        ]


def test_a_function_that_cannot_be_sent_is_an_error() -> None:
    lock = threading.Lock()
    with pytest.raises(TypeError, match="pickle"):
        JoblibMapper(2).concat(lambda item: (lock, item), range(4))


def test_shards_are_the_jobs() -> None:
    assert JoblibMapper(3).shards == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"jobs": 0}, "jobs must be at least 1, not 0"),
        ({"jobs": -1}, "jobs must be at least 1, not -1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"retries": -1}, "retries must be at least 0"),
        ({"backend": "spark"}, "'loky' or 'dask'"),
        ({"backend": "dask", "threads": 2}, "set them where its workers are started"),
    ],
)
def test_impossible_choices_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JoblibMapper(**arguments)  # type: ignore[arg-type]


def test_dask_missing_is_said_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WorkerError, match=r"pip install 'dask\[distributed\]'"):
        JoblibMapper(2, backend="dask").map(square, range(3))


def test_dask_without_a_client_is_said_at_the_call() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(WorkerError, match="start one first"):
        JoblibMapper(2, backend="dask").map(square, range(3))


def test_dask_gives_the_serial_results() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None):
        mapper = JoblibMapper(2, backend="dask")
        assert mapper.concat(square, range(8)) == [item * item for item in range(8)]
        with pytest.raises(Unlucky):
            mapper.concat(fails_at_four, range(8))
