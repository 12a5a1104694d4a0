"""Kill small runs of `fit` at many points and random times, go on with them, and compare: `scripts/nightly`."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / folder) for folder in ("", "faults")]

from points import DONE, KILLED, count, forked, killed_at, spread  # noqa: E402
from runs import CASES, fit, hashes, prepare, start_anew  # noqa: E402

Outcome = tuple[str, bool]


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--points", type=int, default=500)
    given.add_argument("--random", type=int, default=1000)
    given.add_argument("--minutes", type=float, default=600.0, help="stop after so long, with what was done by then")
    given.add_argument("--seed", type=int, default=0)
    options = given.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork
    started, outcomes = time.monotonic(), []  # type: float, list[Outcome]
    with tempfile.TemporaryDirectory(prefix="headstart-") as place:
        for outcome in _outcomes(Path(place), options.points, options.random, options.seed):
            outcomes.append(outcome)
            if time.monotonic() - started > 60 * options.minutes:
                break
    return _report(outcomes, time.monotonic() - started)


def _outcomes(place: Path, points: int, times: int, seed: int) -> Iterator[Outcome]:
    """Take the cases in turn, so that a night that is cut short has seen all of them."""
    share = len(CASES)
    cases = [_Case(place / str(number), name) for number, name in enumerate(CASES)]
    with contextlib.redirect_stderr(sys.stdout):
        at_points = [spread(case.points, -(-points // share)) for case in cases]
        draw = random.Random(seed)
        for round_ in range(max(-(-times // share), max(map(len, at_points)))):
            for case, numbers in zip(cases, at_points, strict=True):
                if round_ < len(numbers):
                    yield "point", case.after_point(numbers[round_])
                if round_ < -(-times // share):
                    yield "time", case.after_seconds(draw.uniform(0, case.seconds))


class _Case:
    """One case, run once without a break."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        folder.mkdir()
        prepare(folder, CASES[name])
        self._work = partial(fit, folder, CASES[name])
        self.points = count(self._work, below=folder)
        start_anew(folder)
        started = time.monotonic()
        forked(self._work)
        self.seconds = time.monotonic() - started
        self._expected = hashes(folder / "run")

    def after_point(self, at: int) -> bool:
        start_anew(self._folder)
        if killed_at(at, self._work, below=self._folder) != KILLED:
            return self._lost(f"point {at}: not killed")
        return self._goes_on(f"point {at}")

    def after_seconds(self, seconds: float) -> bool:
        start_anew(self._folder)
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                self._work()
            os._exit(DONE)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return self._goes_on(f"{seconds:.3f} seconds")

    def _goes_on(self, what: str) -> bool:
        status = forked(self._work)
        if status != DONE:
            return self._lost(f"{what}: exit status {status}")
        found = hashes(self._folder / "run")
        other = sorted(name for name in found | self._expected if found.get(name) != self._expected.get(name))
        return not other or self._lost(f"{what}: other bits in {', '.join(other)}")

    def _lost(self, what: str) -> bool:
        print(f"{datetime.now(UTC):%H:%M:%S} {self._name}: {what}: LOST", flush=True)
        return False


def _report(outcomes: list[Outcome], seconds: float) -> int:
    """Print what goes into the documents, and return 1 where a run did not end with the bits of one without a break."""
    told = []
    for kind, noun in (("point", "kills at points"), ("time", "kills at random times")):
        right = [ok for one, ok in outcomes if one == kind]
        told.append(f"{sum(right):,} of {len(right):,} {noun}")
    print(f"{datetime.now(UTC):%Y-%m-%d}: {' and '.join(told)} ended with the same bits, in {seconds / 60:.0f} minutes")
    return int(not all(ok for _, ok in outcomes))


if __name__ == "__main__":
    sys.exit(main())
