"""`fit --resume` after a kill at any point ends with the bits of the run without a break."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from points import DONE, KILLED, count, die, forked, killed_at, spread
from runs import CASES, Case, fit, hashes, loads, prepare, start_anew
from tqdm.std import tqdm

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")]
# How many points of each case are taken here; `scripts/nightly` takes more of them.
WANTED = {"thawed, two seeds": 60, "head alone": 25, "folds": 25, "views": 25}


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("case")
    prepare(folder, CASES[request.param])
    yield request.param, folder
    shutil.rmtree(folder)


def test_a_run_that_was_killed_ends_with_the_bits_of_one_that_was_not(case: tuple[str, Path]) -> None:
    name, folder = case
    work = partial(fit, folder, CASES[name])
    points = count(work, below=folder)
    expected = hashes(folder / "run")
    for at in spread(points, WANTED[name]):
        start_anew(folder)
        assert killed_at(at, work, below=folder) == KILLED
        finished = (folder / "run").exists() and loads(folder / "run")
        assert forked(work) == DONE, f"point {at} of {points}"
        assert hashes(folder / "run") == expected, f"point {at} of {points}, finished: {finished}"


def test_a_child_that_dies_while_it_draws_a_bar_stops_no_later_one() -> None:
    lock = tqdm.get_lock()  # made here, as by the first run of a case

    def dies() -> None:
        lock.acquire()
        die()

    assert forked(dies) == KILLED
    assert forked(lock.acquire, seconds=5) == DONE


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    case = Case(settings={"seeds": 2})
    prepare(tmp_path, case)
    work = partial(fit, tmp_path, case)
    points = count(work, below=tmp_path)
    expected = hashes(tmp_path / "run")
    start_anew(tmp_path)
    kills = 0
    while killed_at(points // 3, work, below=tmp_path) == KILLED:
        kills += 1
        assert kills < 10, "no progress"
    assert kills >= 2
    assert hashes(tmp_path / "run") == expected
