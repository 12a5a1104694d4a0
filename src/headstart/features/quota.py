"""How large the cache may grow, and what leaves it first: whole entries, the least recently used, none in use."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from headstart.errors import UsageError
from headstart.events import Listener, Note, ignore
from headstart.features.catalogue import Catalogue
from headstart.features.lease import alone, in_use, lease_of

VARIABLE = "HEADSTART_CACHE_QUOTA"
DEFAULT_BYTES = 20 * 10**9
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
ABANDONED_SECONDS = 24 * 3600.0


def quota_bytes() -> int:
    """Return how many bytes of features may be kept: `HEADSTART_CACHE_QUOTA`, such as `500 MB`, else 20 GB.

    Raises:
        UsageError: the variable holds something else.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return DEFAULT_BYTES
    number = given.rstrip("BbKkMmGgTt ")
    try:
        size = float(number) * UNITS[given[len(number) :].strip().upper()]
        return int(size) if size >= 0 else int("")
    except (KeyError, ValueError, OverflowError):
        raise UsageError(f"{VARIABLE} is `{given}`, which is no size", "write it like `20 GB` or `500 MB`") from None


def make_room(catalogue: Catalogue, folder: Path, needed: int, listener: Listener = ignore) -> bool:
    """Evict until `needed` more bytes stay within the quota, and say whether they do.

    Nothing leaves where that would not be enough. What is about to leave is told before it does.
    """
    quota, kept, leaving = quota_bytes(), usage(catalogue)[0], []
    candidates = catalogue.select(
        "SELECT key, used, (SELECT COALESCE(SUM(bytes), 0) FROM shard WHERE entry = key) FROM entry ORDER BY used"
    )
    for key, used, size in candidates:
        if kept + needed <= quota:
            break
        if size and not in_use(lease_of(folder, key)):
            leaving.append((key, used, size))
            kept -= size
    if kept + needed > quota:
        return False
    for key, used, size in leaving:
        day = time.strftime("%Y-%m-%d", time.localtime(used))
        listener(Note(f"the cache is full: features of {size:,} bytes, last used on {day}, make room for new ones"))
        evict(catalogue, folder, key)
    return True


def evict(catalogue: Catalogue, folder: Path, key: str) -> bool:
    """Remove an entry, whole; return False, with nothing removed, where a run uses it.

    Its rows go first: a kill in between leaves files that nobody looks for, and `sweep` finds them.
    """
    with alone(lease_of(folder, key)) as nobody_else:
        if not nobody_else:
            return False
        with catalogue.transaction() as database:
            for statement in ("row WHERE entry", "shard WHERE entry", "entry WHERE key"):
                database.execute(f"DELETE FROM {statement} = ?", (key,))
        shutil.rmtree(folder / key, ignore_errors=True)
    return True


def clear(catalogue: Catalogue, folder: Path) -> int:
    """Remove every entry that no run uses, with what killed runs left, and return how many entries stay."""
    keys = [key for (key,) in catalogue.select("SELECT key FROM entry")]
    stay = [key for key in keys if not evict(catalogue, folder, key)]
    sweep(catalogue, folder, age=ABANDONED_SECONDS if stay else 0.0)
    return len(stay)


def usage(catalogue: Catalogue) -> tuple[int, int]:
    """Return the bytes of all shards, and how many entries have some."""
    ((size, entries),) = catalogue.select("SELECT COALESCE(SUM(bytes), 0), COUNT(DISTINCT entry) FROM shard")
    return size, entries


def sweep(catalogue: Catalogue, folder: Path, *, age: float = ABANDONED_SECONDS) -> None:
    """Remove files of entries that the catalogue does not name; those younger than `age` may still be registered."""
    known = {f"{entry}/{file}" for entry, file in catalogue.select("SELECT entry, file FROM shard")}
    for path in folder.glob("*/*"):
        with suppress(OSError):
            if path.relative_to(folder).as_posix() not in known and time.time() - path.stat().st_mtime >= age:
                path.unlink()
