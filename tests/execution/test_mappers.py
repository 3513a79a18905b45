"""Worker processes: killed ones are replaced, errors come through, and stopping early does not hang."""

from __future__ import annotations

import os
import signal
import time
import warnings
from functools import partial
from pathlib import Path

import joblib
import pytest

from whence.execution import JoblibMapper, WorkerError
from whence.execution import mappers as module


class Unlucky(Exception):
    """An error with an attribute that must survive the way back."""

    def __init__(self, item: int) -> None:
        super().__init__(item)
        self.item = item


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
