"""Several processes on one cache, some of which are killed: every row is right, and none is computed twice at once."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from caches import FACTS, RAGGED, fill, names, row_of
from points import DONE, KILLED, forked

from headstart.features import claims
from headstart.features.cache import FeatureCache

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
NAMES = names(200)


def started(work: partial) -> int:
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.alarm(60)
            status = work() or 0
        except BaseException as error:  # noqa: BLE001
            sys.stderr.write(f"{error}\n")
        finally:
            os._exit(status)
    return child


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def computing(folder: Path, result: Path) -> None:
    result.write_text(str(fill(folder, NAMES)))


@pytest.mark.slow
def test_eight_processes_of_which_some_are_killed_leave_every_row_right(tmp_path: Path) -> None:
    draw, kills = random.Random(0), 0
    children = {started(partial(fill_quietly, tmp_path / "cache")) for _ in range(8)}
    while children:
        time.sleep(draw.uniform(0.0, 0.02))
        victim = draw.choice(sorted(children))
        if kills < 40 and os.waitpid(victim, os.WNOHANG) == (0, 0):
            os.kill(victim, signal.SIGKILL)
            assert ended(victim) in (KILLED, DONE)  # it may have been about to end
            children.remove(victim)
            children.add(started(partial(fill_quietly, tmp_path / "cache")))
            kills += 1
        elif kills >= 40:
            assert {ended(child) for child in children} == {DONE}
            break
        else:
            children.remove(victim)
            children.add(started(partial(fill_quietly, tmp_path / "cache")))
    assert fill(tmp_path / "cache", NAMES) == 0


def fill_quietly(folder: Path) -> None:
    fill(folder, NAMES)


@pytest.mark.slow
def test_runs_that_start_at_once_compute_every_row_once(tmp_path: Path) -> None:
    results = [tmp_path / f"result{number}" for number in range(4)]
    children = [started(partial(computing, tmp_path / "cache", result)) for result in results]
    assert [ended(child) for child in children] == [DONE] * 4
    assert sum(int(result.read_text()) for result in results) == len(NAMES)


def claiming(folder: Path, ready: int, how: signal.Signals) -> None:
    entry = FeatureCache(folder).entry(FACTS, RAGGED)
    with entry.claimed(NAMES):
        os.write(ready, b"x")
        os.kill(os.getpid(), how)
        time.sleep(60)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_rows_of_a_run_that_is_dead_or_stopped_are_taken_over(
    tmp_path: Path, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "STALE_SECONDS", 0.3)
    reader, writer = os.pipe()
    child = started(partial(claiming, tmp_path, writer, how))
    os.read(reader, 1)
    try:
        assert fill(tmp_path, NAMES[:8]) == 8
    finally:
        os.kill(child, signal.SIGKILL)
        ended(child)
        os.close(reader)
        os.close(writer)
    assert not list(tmp_path.glob("*.claim"))


def evicting(folder: Path) -> None:
    cache = FeatureCache(folder)
    assert cache.clear() == 1  # the reader's stays


def test_eviction_leaves_what_another_process_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    fill(tmp_path / "features", NAMES)
    cache = FeatureCache(tmp_path / "features")
    entry = cache.entry(FACTS, RAGGED)
    rows = entry.rows(NAMES)
    assert forked(partial(evicting, tmp_path / "features")) == DONE
    assert entry.missing(NAMES) == set()
    cache.close()
    assert FeatureCache(tmp_path / "features").clear() == 0
    # What was open stays readable, whatever happens to its name.
    assert all(
        (shard.row(place)["x"] == row_of(name)["x"]).all() for name, (shard, place) in zip(NAMES, rows, strict=True)
    )
