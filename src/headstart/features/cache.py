"""Where features are kept: immutable shards, and a small SQLite catalogue of which row lies where.

An entry holds the features of one frozen part: its key is made of the frozen weights, what crosses the cut, the
preprocessing, the engine's numerics and the storage type. Within an entry a row is found by the hash of its
example's bytes, so that adding examples appends, order does not matter and a changed file is never served stale.
Labels are in neither key.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import xxhash

from headstart.errors import DataError, HeadstartError
from headstart.events import Listener, ignore
from headstart.features import claims, quota
from headstart.features.catalogue import Catalogue
from headstart.features.lease import Lease
from headstart.features.shard import Row, Shard, write_shard
from headstart.place import cache_folder, copies_folder

_FORMAT = 1


class FeatureCache:
    """All features kept on this machine, or in a folder of the caller's.

    Raises:
        MachineError: the folder cannot be written to, or its catalogue is damaged.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "features"
        self._catalogue = Catalogue(self.folder)
        self._leases: list[Lease] = []
        quota.sweep(self._catalogue, self.folder)

    def entry(self, facts: dict[str, Any], ragged: Sequence[str]) -> Entry:
        """Return the entry for these facts, which together decide every stored value."""
        description = json.dumps({"format": _FORMAT, **facts}, sort_keys=True)
        key = xxhash.xxh3_128(description.encode()).hexdigest()
        now = time.time()
        with self._catalogue.explained():
            # Before the entry is named: from here on nobody evicts it.
            self._leases.append(Lease(self.folder, key))
            (self.folder / key).mkdir(exist_ok=True, mode=0o700)
        with self._catalogue.transaction() as database:
            database.execute(
                "INSERT INTO entry VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET used = excluded.used",
                (key, description, now, now),
            )
        return Entry(self._catalogue, self.folder / key, key, ragged)

    def usage(self) -> tuple[int, int]:
        """Return the bytes of all features, and how many entries have some."""
        return quota.usage(self._catalogue)

    def clear(self) -> int:
        """Remove every entry that no run uses, and return how many stay; copies of data go where none does."""
        stay = quota.clear(self._catalogue, self.folder)
        if not stay:
            shutil.rmtree(copies_folder(), ignore_errors=True)
        return stay

    def close(self) -> None:
        """Give all entries free for eviction; rows that are open stay readable."""
        self._catalogue.close()
        while self._leases:
            self._leases.pop().release()


@contextmanager
def open_cache(*, keep: bool = True) -> Iterator[FeatureCache]:
    """Give the cache on this machine; without keeping, features live in a folder that goes at the end."""
    with tempfile.TemporaryDirectory(prefix="headstart-") as place:
        cache = FeatureCache(None if keep else Path(place))
        try:
            yield cache
        finally:
            cache.close()


class Entry:
    """The rows of one frozen part."""

    def __init__(self, catalogue: Catalogue, folder: Path, key: str, ragged: Sequence[str]) -> None:
        self._catalogue, self.folder, self._key = catalogue, folder, key
        self._ragged = tuple(ragged)
        self._shards: dict[int, Shard] = {}

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

    def claimed(self, wanted: Collection[str]) -> AbstractContextManager[set[str]]:
        """Give those of these examples that no other run computes, which is then left to this one."""
        return claims.claimed(self._catalogue, self.folder, wanted)

    def wait(self, wanted: Collection[str]) -> None:
        """Return once no other run computes any of these examples."""
        claims.wait(self.folder, wanted)

    def make_room(self, needed: int, listener: Listener = ignore) -> bool:
        """Evict entries that were not used for longest, and say whether `needed` more bytes stay within the quota."""
        return quota.make_room(self._catalogue, self.folder.parent, needed, listener)

    def append(self, examples: Sequence[str], rows: Sequence[Row], *, seconds: float = 0.0) -> int:
        """Store one row an example in a new shard, whole or not at all, and return its bytes.

        Args:
            seconds: what computing the rows took, so that a later run can say what it was spared.

        Raises:
            NoSpace: the disk is full; earlier shards stay.
        """
        path, checksum = write_shard(self.folder, rows, self._ragged, examples)
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
        # The + makes SQLite look at all rows: where a key is damaged, a search by key misses its neighbours as well.
        rows = self._catalogue.select("SELECT example, shard, position FROM row WHERE +entry = ?", self._key)
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
            with suppress(OSError, ValueError):  # the name may be what is damaged
                (self.folder / file).unlink()
