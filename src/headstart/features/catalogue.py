"""Which entries, shards and rows there are: one SQLite file for all processes.

It uses SQLite's rollback journal, not WAL: WAL of the versions in use can lose a reset.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstart.durable import no_space
from headstart.errors import MachineError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, description TEXT NOT NULL, created REAL, used REAL);
CREATE TABLE IF NOT EXISTS shard (
    id INTEGER PRIMARY KEY, entry TEXT NOT NULL, file TEXT NOT NULL, bytes INTEGER NOT NULL, checksum TEXT NOT NULL,
    seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS row (
    entry TEXT NOT NULL, example TEXT NOT NULL, shard INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (entry, example)) WITHOUT ROWID;
"""


class Catalogue:
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
