"""Where features are kept: immutable shards, and a small SQLite catalogue of which row lies where.

An entry holds the features of one frozen part: its key is made of the frozen weights, what crosses the cut, the
preprocessing, the engine's numerics and the storage type. Within an entry a row is found by the hash of its
example's bytes, so that adding examples appends, order does not matter and a changed file is never served stale.
Labels are in neither key.

The catalogue uses SQLite's rollback journal, not WAL: WAL of the versions in use can lose a reset.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xxhash

from headstart.assets.place import cache_folder
from headstart.durable import no_space
from headstart.errors import DataError, HeadstartError, MachineError
from headstart.features.shard import Row, Shard, write_shard

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, description TEXT NOT NULL, created REAL, used REAL);
CREATE TABLE IF NOT EXISTS shard (
    id INTEGER PRIMARY KEY, entry TEXT NOT NULL, file TEXT NOT NULL, bytes INTEGER NOT NULL, checksum TEXT NOT NULL,
    seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS row (
    entry TEXT NOT NULL, example TEXT NOT NULL, shard INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (entry, example)) WITHOUT ROWID;
"""
_FORMAT = 1
_ABANDONED_SECONDS = 24 * 3600.0


class FeatureCache:
    """All features kept on this machine, or in a folder of the caller's.

    Raises:
        MachineError: the folder cannot be written to, or its catalogue is damaged.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "features"
        self._catalogue = _Catalogue(self.folder)

    def entry(self, facts: dict[str, Any], ragged: Sequence[str]) -> Entry:
        """Return the entry for these facts, which together decide every stored value."""
        description = json.dumps({"format": _FORMAT, **facts}, sort_keys=True)
        key = xxhash.xxh3_128(description.encode()).hexdigest()
        now = time.time()
        with self._catalogue.transaction() as database:
            database.execute(
                "INSERT INTO entry VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET used = excluded.used",
                (key, description, now, now),
            )
        return Entry(self._catalogue, self.folder / key, key, ragged)

    def close(self) -> None:
        self._catalogue.close()


class Entry:
    """The rows of one frozen part."""

    def __init__(self, catalogue: _Catalogue, folder: Path, key: str, ragged: Sequence[str]) -> None:
        self._catalogue, self.folder, self._key = catalogue, folder, key
        self._ragged = tuple(ragged)
        self._shards: dict[int, Shard] = {}
        folder.mkdir(exist_ok=True, mode=0o700)
        self._sweep()

    def missing(self, examples: Iterable[str]) -> set[str]:
        """Return which of these example hashes must be computed; rows of damaged shards are among them."""
        wanted = set(examples)
        present = self._positions(wanted)
        for shard in {shard for shard, _ in present.values()}:
            rows = {example: position for example, (other, position) in present.items() if other == shard}
            try:
                self._open(shard).require(rows)
            except (OSError, ValueError, DataError):
                self._forget(shard)
        return wanted - set(self._positions(wanted))

    def append(self, examples: Sequence[str], rows: Sequence[Row], *, seconds: float = 0.0) -> int:
        """Store one row an example in a new shard, whole or not at all, and return its bytes.

        Args:
            seconds: what computing the rows took, so that a later run can say what it was spared.

        Raises:
            NoSpace: the disk is full; earlier shards stay.
        """
        path = self.folder / f"{uuid.uuid4().hex}.safetensors"
        checksum = write_shard(path, rows, self._ragged, examples)
        size = path.stat().st_size
        try:
            self._register(path.name, size, checksum, seconds, examples)
        except HeadstartError:
            path.unlink()
            raise
        return size

    def rows(self, examples: Sequence[str]) -> list[tuple[Shard, int]]:
        """Return where each example's row lies: an open shard and a position in it.

        Raises:
            DataError: a shard was damaged or dropped since `missing` looked.
        """
        positions = self._positions(examples)
        if not positions.keys() >= set(examples):
            raise DataError(f"rows of the cache `{self.folder}` were dropped by another run", "run it again")
        return [(self._open(positions[example][0]), positions[example][1]) for example in examples]

    def bytes(self) -> int:
        """Return the size of all shards of this entry."""
        ((size,),) = self._catalogue.select("SELECT COALESCE(SUM(bytes), 0) FROM shard WHERE entry = ?", self._key)
        return size

    def seconds_of(self, examples: Iterable[str]) -> float:
        """Return what computing these rows took when it was done."""
        shards = [shard for shard, _ in self._positions(examples).values()]
        query = "SELECT seconds / MAX(1, (SELECT COUNT(*) FROM row WHERE shard = id)) FROM shard WHERE id = ?"
        each = {shard: self._catalogue.select(query, shard)[0][0] for shard in set(shards)}
        return sum(each[shard] for shard in shards)

    def _register(self, file: str, size: int, checksum: str, seconds: float, examples: Sequence[str]) -> None:
        with self._catalogue.transaction() as database:
            cursor = database.execute(
                "INSERT INTO shard (entry, file, bytes, checksum, seconds) VALUES (?, ?, ?, ?, ?)",
                (self._key, file, size, checksum, seconds),
            )
            database.executemany(
                "INSERT OR IGNORE INTO row VALUES (?, ?, ?, ?)",
                [(self._key, example, cursor.lastrowid, position) for position, example in enumerate(examples)],
            )

    def _positions(self, examples: Iterable[str]) -> dict[str, tuple[int, int]]:
        wanted = set(examples)
        rows = self._catalogue.select("SELECT example, shard, position FROM row WHERE entry = ?", self._key)
        return {example: (shard, position) for example, shard, position in rows if example in wanted}

    def _open(self, shard: int) -> Shard:
        if shard not in self._shards:
            found = self._catalogue.select("SELECT file, checksum FROM shard WHERE id = ?", shard)
            if not found:
                raise DataError(f"a shard of the cache `{self.folder}` was dropped by another run", "run it again")
            ((file, checksum),) = found
            self._shards[shard] = Shard(self.folder / file, checksum, self._ragged)
        return self._shards[shard]

    def _forget(self, shard: int) -> None:
        """Drop a damaged shard; its rows count as missing from now on."""
        files = self._catalogue.select("SELECT file FROM shard WHERE id = ?", shard)
        with self._catalogue.transaction() as database:
            database.execute("DELETE FROM row WHERE shard = ?", (shard,))
            database.execute("DELETE FROM shard WHERE id = ?", (shard,))
        self._shards.pop(shard, None)
        for (file,) in files:
            (self.folder / file).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove files that a killed run left without registering them; young ones may still be registered."""
        known = {file for (file,) in self._catalogue.select("SELECT file FROM shard WHERE entry = ?", self._key)}
        for path in self.folder.iterdir():
            if path.name not in known and time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink(missing_ok=True)


class _Catalogue:
    """The SQLite file; what it raises becomes an error with a way out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(folder / "catalogue.sqlite", timeout=60, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = DELETE")
            self._database.executescript(_SCHEMA)

    def select(self, query: str, *values: Any) -> list[tuple]:
        """Return all rows of a query."""
        with self._explained():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the database; what is done with it counts as a whole or not at all."""
        with self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            with self._database:  # commits, or rolls back on an error
                yield self._database

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise no_space(self._folder / "catalogue.sqlite", 0) from error
            raise MachineError(
                f"the feature cache `{self._folder}` cannot be used: {error}",
                "remove it if it is damaged; else set HEADSTART_CACHE to a folder that you may write to",
            ) from error
