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
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import xxhash

from headstart.assets.place import cache_folder
from headstart.errors import DataError, MachineError
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


class FeatureCache:
    """All features kept on this machine, or in a folder of the caller's."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "features"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(self.folder / "catalogue.sqlite", timeout=60, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = DELETE")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise MachineError(
                f"the feature cache `{self.folder}` cannot be used: {error}",
                "set HEADSTART_CACHE to a folder that you may write to, or run with --no-cache",
            ) from error

    def entry(self, facts: dict[str, Any], ragged: Sequence[str]) -> Entry:
        """Return the entry for these facts, which together decide every stored value."""
        description = json.dumps({"format": _FORMAT, **facts}, sort_keys=True)
        key = xxhash.xxh3_128(description.encode()).hexdigest()
        now = time.time()
        self._database.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET used = excluded.used",
            (key, description, now, now),
        )
        return Entry(self._database, self.folder / key, key, ragged)

    def close(self) -> None:
        self._database.close()


class Entry:
    """The rows of one frozen part."""

    def __init__(self, database: sqlite3.Connection, folder: Path, key: str, ragged: Sequence[str]) -> None:
        self._database, self.folder, self._key = database, folder, key
        self._ragged = tuple(ragged)
        self._shards: dict[int, Shard] = {}
        folder.mkdir(exist_ok=True, mode=0o700)

    def missing(self, examples: Iterable[str]) -> set[str]:
        """Return which of these example hashes must be computed; rows of damaged shards are among them."""
        wanted = set(examples)
        present = self._positions(wanted)
        for shard in {shard for shard, _ in present.values()}:
            try:
                self._open(shard)
            except (OSError, ValueError, DataError):
                self._forget(shard)
        return wanted - set(self._positions(wanted))

    def append(self, examples: Sequence[str], rows: Sequence[Row], *, seconds: float = 0.0) -> int:
        """Store one row an example in a new shard, whole or not at all, and return its bytes.

        Args:
            seconds: what computing the rows took, so that a later run can say what it was spared.
        """
        path = self.folder / f"{uuid.uuid4().hex}.safetensors"
        checksum = write_shard(path, rows, self._ragged)
        size = path.stat().st_size
        with self._transaction():
            cursor = self._database.execute(
                "INSERT INTO shard (entry, file, bytes, checksum, seconds) VALUES (?, ?, ?, ?, ?)",
                (self._key, path.name, size, checksum, seconds),
            )
            self._database.executemany(
                "INSERT OR IGNORE INTO row VALUES (?, ?, ?, ?)",
                [(self._key, example, cursor.lastrowid, position) for position, example in enumerate(examples)],
            )
        return size

    def rows(self, examples: Sequence[str]) -> list[tuple[Shard, int]]:
        """Return where each example's row lies: an open shard and a position in it.

        Raises:
            DataError: a shard was damaged since `missing` looked.
        """
        positions = self._positions(examples)
        return [(self._open(positions[example][0]), positions[example][1]) for example in examples]

    def bytes(self) -> int:
        """Return the size of all shards of this entry."""
        query = "SELECT COALESCE(SUM(bytes), 0) FROM shard WHERE entry = ?"
        return self._database.execute(query, (self._key,)).fetchone()[0]

    def seconds_of(self, examples: Iterable[str]) -> float:
        """Return what computing these rows took when it was done."""
        shards = [shard for shard, _ in self._positions(examples).values()]
        query = "SELECT seconds / MAX(1, (SELECT COUNT(*) FROM row WHERE shard = id)) FROM shard WHERE id = ?"
        each = {shard: self._database.execute(query, (shard,)).fetchone()[0] for shard in set(shards)}
        return sum(each[shard] for shard in shards)

    def _positions(self, examples: Iterable[str]) -> dict[str, tuple[int, int]]:
        wanted = set(examples)
        rows = self._database.execute("SELECT example, shard, position FROM row WHERE entry = ?", (self._key,))
        return {example: (shard, position) for example, shard, position in rows if example in wanted}

    def _open(self, shard: int) -> Shard:
        if shard not in self._shards:
            file, checksum = self._database.execute(
                "SELECT file, checksum FROM shard WHERE id = ?", (shard,)
            ).fetchone()
            self._shards[shard] = Shard(self.folder / file, checksum, self._ragged)
        return self._shards[shard]

    def _forget(self, shard: int) -> None:
        """Drop a damaged shard; its rows count as missing from now on."""
        (file,) = self._database.execute("SELECT file FROM shard WHERE id = ?", (shard,)).fetchone()
        with self._transaction():
            self._database.execute("DELETE FROM row WHERE shard = ?", (shard,))
            self._database.execute("DELETE FROM shard WHERE id = ?", (shard,))
        (self.folder / file).unlink(missing_ok=True)

    def _transaction(self) -> sqlite3.Connection:
        self._database.execute("BEGIN IMMEDIATE")
        return self._database  # its context manager commits, or rolls back on an error
