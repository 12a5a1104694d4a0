"""Which entries, shards and rows there are: one SQLite file for all processes.

Where it is damaged it is written anew: the shards name their examples, and their names carry their checksums. It uses
SQLite's rollback journal, not WAL: WAL of the versions in use can lose a reset.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstart.durable import no_space, sync
from headstart.errors import MachineError
from headstart.features.lease import in_use
from headstart.features.shard import checksum_in, examples_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, description TEXT NOT NULL, created REAL, used REAL);
CREATE TABLE IF NOT EXISTS shard (
    id INTEGER PRIMARY KEY, entry TEXT NOT NULL, file TEXT NOT NULL, bytes INTEGER NOT NULL, checksum TEXT NOT NULL,
    seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS row (
    entry TEXT NOT NULL, example TEXT NOT NULL, shard INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (entry, example)) WITHOUT ROWID;
"""


NAME = "catalogue.sqlite"
_MALFORMED = "the database is malformed"
_PAGES_BYTES = 16384  # what the smallest transaction needs, its journal included


class Catalogue:
    """The SQLite file; what it raises becomes an error with a way out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self.explained():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                self._database = _opened(folder / NAME)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error) or _is_used(folder):
                    raise
                _write_anew(folder)
                self._database = _opened(folder / NAME)

    def select(self, query: str, *values: Any) -> list[tuple]:
        """Return all rows of a query."""
        with self.explained():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the database; what is done with it counts as a whole or not at all."""
        with self.explained():
            self._database.execute("BEGIN IMMEDIATE")
            with self._database:  # commits, or rolls back on an error
                yield self._database

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what the system or SQLite says into an error with a way out."""
        try:
            yield
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
            if full or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise no_space(self._folder / NAME, _PAGES_BYTES) from error
            raise MachineError(
                f"the feature cache `{self._folder}` cannot be used: {error}",
                "remove it if it is damaged; else set HEADSTART_CACHE to a folder that you may write to",
            ) from error


def _opened(path: Path) -> sqlite3.Connection:
    """Open the file, made if absent; what is damaged is found now."""
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    database.text_factory = lambda data: data.decode(errors="replace")  # a bit may have flipped in it
    try:
        database.execute("PRAGMA journal_mode = DELETE")
        database.executescript(_SCHEMA)
        ((verdict, *_),) = database.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok" or _tables(database) != _expected_tables():
            raise sqlite3.DatabaseError(_MALFORMED)
    except UnicodeDecodeError:  # Python cannot even read what SQLite says is wrong
        database.close()
        raise sqlite3.DatabaseError(_MALFORMED) from None
    except sqlite3.Error:
        database.close()
        raise
    return database


def _tables(database: sqlite3.Connection) -> set[tuple]:
    return set(database.execute("SELECT name, sql FROM sqlite_master").fetchall())


def _expected_tables() -> set[tuple]:
    with contextlib.closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(_SCHEMA)
        return _tables(empty)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    damage = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
    return str(error) == _MALFORMED or getattr(error, "sqlite_errorcode", 0) & 0xFF in damage


def _is_used(folder: Path) -> bool:
    """Say whether another run uses an entry: it has the old file open, and its journal would be taken for the new's."""
    return any(in_use(path) for path in folder.glob("*.lease"))


def _write_anew(folder: Path) -> None:
    """Replace a damaged catalogue by one of the shards that are there; each is verified when it is opened."""
    new = folder / f".{NAME}.{os.getpid()}.tmp"
    new.unlink(missing_ok=True)
    with contextlib.closing(_opened(new)) as database, database:
        database.execute("BEGIN")
        for path in sorted(folder.glob("*/*.safetensors")):
            key, now, examples = path.parent.name, time.time(), examples_of(path)
            if not examples:
                continue
            database.execute("INSERT OR IGNORE INTO entry VALUES (?, '', ?, ?)", (key, now, now))
            cursor = database.execute(
                "INSERT INTO shard (entry, file, bytes, checksum, seconds) VALUES (?, ?, ?, ?, 0)",
                (key, path.name, path.stat().st_size, checksum_in(path)),
            )
            rows = [(key, example, cursor.lastrowid, position) for position, example in enumerate(examples)]
            database.executemany("INSERT OR IGNORE INTO row VALUES (?, ?, ?, ?)", rows)
    (folder / f"{NAME}-journal").unlink(missing_ok=True)
    os.replace(new, folder / NAME)
    sync(folder)
