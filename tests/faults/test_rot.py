"""Bits that flip and files that are cut short are found before a row is used, and cost no more than their shard."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from caches import CHUNK, fill, names, shards

from headstart.features import catalogue

NAMES = names(24)
SHARDS = len(NAMES) // CHUNK


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A full cache. Nothing is synced, which is most of the time and matters for power cuts alone."""
    opened = catalogue._opened

    def unsynced(path: Path) -> sqlite3.Connection:
        database = opened(path)
        database.execute("PRAGMA synchronous = OFF")
        return database

    monkeypatch.setattr(catalogue, "_opened", unsynced)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    assert fill(tmp_path / "good", NAMES) == len(NAMES)
    return tmp_path / "good"


@pytest.fixture
def copies(good: Path, tmp_path: Path) -> Iterator[Iterator[Path]]:
    """Copies of a full cache, each of which may be damaged."""

    def fresh() -> Iterator[Path]:
        while True:
            shutil.copytree(good, tmp_path / "copy")
            yield tmp_path / "copy"
            shutil.rmtree(tmp_path / "copy")

    return fresh()


def flip(path: Path, at: float, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1 << bit
    path.write_bytes(data)


def cut(path: Path, at: float) -> None:
    path.write_bytes(path.read_bytes()[: int(at * path.stat().st_size)])


@pytest.mark.slow
def test_a_flipped_bit_or_a_cut_in_a_shard_costs_that_shard(copies: Iterator[Path]) -> None:
    draw = random.Random(0)
    for number, folder in zip(range(400), copies, strict=False):
        path = draw.choice(shards(folder))
        flip(path, draw.random(), draw.randrange(8)) if number % 2 else cut(path, draw.random())
        assert fill(folder, NAMES) == CHUNK, f"damage {number} was not found"


@pytest.mark.slow
def test_a_flipped_bit_or_a_cut_in_the_catalogue_serves_no_wrong_row(copies: Iterator[Path]) -> None:
    draw, computed = random.Random(1), []
    for number, folder in zip(range(600), copies, strict=False):
        path = folder / "catalogue.sqlite"
        flip(path, draw.random(), draw.randrange(8)) if number % 3 else cut(path, draw.random())
        computed.append(fill(folder, NAMES))  # which compares every row
    # A checksum or a name of a file that was hit costs a shard; all else is written anew from the shards.
    assert max(computed) <= 2 * CHUNK
    assert sum(map(bool, computed)) < len(computed) / 2
