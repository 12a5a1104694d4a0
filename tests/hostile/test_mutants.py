"""Damaged files of every format that is read: each is read, or refused by one documented error that names the file.

HEADSTART_MUTANTS=10000 asks for so many of each; the default is for every day.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from headstart.checkpoints.contract import READERS
from headstart.data.media import SUFFIXES
from headstart.data.table import TableFormat
from headstart.registry import plugins
from hostile.formats import ENDINGS, FORMATS
from hostile.mutator import Mutator, repaired_ogg, repaired_png

MUTANTS = int(os.environ.get("HEADSTART_MUTANTS", "1000"))
# A network is built for each of these: half as many keep the whole within some minutes.
COSTLY = {"tokenizer_config.json", "preprocessor_config.json", "feature_extractor.json", "model.safetensors"}
COSTLY |= {"headstart.toml"}
SECONDS_AT_MOST = 2.0
BYTES_AT_MOST = 512 << 20
TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Outcome:
    """What came of one mutant: `read`, `refused`, or what must not happen."""

    number: int
    seconds: float
    bytes: int
    what: str


def outcomes(name: str, report: Path) -> Iterator[Outcome]:
    """Read all mutants of a format; a process that one of them killed is followed by another."""
    done, count = 0, how_many(name)
    while done < count:
        report.write_text("")
        ended = _run(name, done, count, report)
        lines = report.read_text().splitlines()
        whole = lines if ended == 0 else lines[:-1]
        for line in whole:
            number, seconds, grown, what = line.split(" ", 3)
            yield Outcome(int(number), float(seconds), int(grown), what)
        done += len(whole)
        if ended:
            assert lines, f"the runner of {name} did not start"
            yield Outcome(done, 0.0, 0, f"killed by {signal.Signals(-ended).name}" if ended < 0 else f"exit {ended}")
            done += 1


def how_many(name: str) -> int:
    """Return how many mutants of a format are tried."""
    return MUTANTS // 2 if name in COSTLY else MUTANTS


def _run(name: str, start: int, count: int, report: Path) -> int:
    command = [sys.executable, "-m", "hostile.runner", name, str(start), str(count), str(report)]
    env = {**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.run(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    ).returncode


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_mutants_are_read_or_refused(name: str, tmp_path: Path) -> None:
    found = list(outcomes(name, tmp_path / "report"))
    assert [one.number for one in found] == list(range(how_many(name)))
    assert not [one for one in found if one.what not in ("read", "refused")]
    assert not [one for one in found if one.seconds > SECONDS_AT_MOST or one.bytes > BYTES_AT_MOST]
    # Damage that is always noticed, or never, would try nothing behind the first check.
    counts = Counter(one.what for one in found)
    assert min(counts["read"], counts["refused"]) >= how_many(name) // 200, counts


def test_every_format_that_is_read_has_mutants() -> None:
    files = [Path(target.file) for target in FORMATS.values()]
    for kind in SUFFIXES:
        assert {path.suffix for path in files} >= SUFFIXES[kind] - {".jpeg"}
    for name, one in plugins("data.formats").items():
        if isinstance(one, TableFormat):
            assert any(path.suffix in one.suffixes for path in files), name
    assert set(READERS) == set(ENDINGS)
    assert {path.suffix for path in files} >= set(ENDINGS.values())


def test_mutants_are_the_same_everywhere() -> None:
    mutator = Mutator(tokens=(b"IHDR",))
    seeds = [bytes(range(200)), b"\x89PNG" * 20]
    assert list(mutator.mutants(seeds, 50)) == list(mutator.mutants(seeds, 50))
    assert list(mutator.mutants(seeds, 50, start=30)) == list(mutator.mutants(seeds, 50))[30:]
    assert len(set(mutator.mutants(seeds, 500))) > 400


def test_repairs_leave_whole_files_as_they_are(tmp_path: Path) -> None:
    for name, repair in (("png", repaired_png), ("ogg", repaired_ogg)):
        for seed in FORMATS[name].seeds(tmp_path):
            assert repair(seed) == seed
            damaged = bytearray(seed)
            damaged[len(seed) // 2] ^= 1
            assert repair(bytes(damaged)) not in (seed, bytes(damaged))
