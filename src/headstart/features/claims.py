"""Who computes which rows: two runs at once never compute the same ones, however one of them ends.

A run that fills an entry writes the examples it is going to compute into a file of its own and holds a lock on that.
The system drops the lock with the process, so that the rows of a run that was killed are free at once; those of a
run that was stopped, or hangs, are after `STALE_SECONDS` without a new shard.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from headstart.durable import saying_what_failed
from headstart.features.catalogue import Catalogue

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

STALE_SECONDS = 120.0
_LOOK_SECONDS = 0.1


@contextmanager
def claimed(catalogue: Catalogue, folder: Path, wanted: Collection[str]) -> Iterator[set[str]]:
    """Give those of the wanted examples that no other run computes; they are this run's until the block ends.

    Args:
        folder: of the entry. Its name with another ending names the claims.
    """
    path = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.claim")
    hidden = path.with_suffix(".tmp")
    with catalogue.transaction(), saying_what_failed(path, 33 * len(wanted)):  # nobody else claims meanwhile
        mine = set(wanted) - _of_others(folder)
        file = hidden.open("w")
        try:
            _lock(file.fileno())
            file.write("\n".join(mine))
            file.flush()
            os.replace(hidden, path)  # only now, or it would be taken for that of a dead run
        except BaseException:
            _withdraw(hidden, file)
            raise
    try:
        yield mine
    finally:
        _withdraw(path, file)


def wait(folder: Path, wanted: Collection[str]) -> None:
    """Return once no other run computes any of these examples, or all that do have not stored anything for long."""
    changed, since = -1, time.monotonic()
    while _of_others(folder) & set(wanted):
        now = folder.stat().st_mtime_ns  # a new shard is a new name in the folder
        if now != changed:
            changed, since = now, time.monotonic()
        if time.monotonic() - since >= STALE_SECONDS:
            for path in _claims(folder):
                path.unlink(missing_ok=True)
            return
        time.sleep(_LOOK_SECONDS)


def _of_others(folder: Path) -> set[str]:
    """Return what living runs have claimed; claims of dead ones are removed."""
    found: set[str] = set()
    for path in _claims(folder):
        with suppress(OSError):  # it has just been withdrawn
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if _free(descriptor):
                    path.unlink(missing_ok=True)
                else:
                    found |= set(path.read_text().split())
            finally:
                os.close(descriptor)
    return found


def _claims(folder: Path) -> list[Path]:
    return list(folder.parent.glob(f"{folder.name}.*.claim"))


def _lock(descriptor: int) -> None:
    if fcntl:
        with suppress(OSError):  # file systems without locks: claims hold nobody up there
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _free(descriptor: int) -> bool:
    if not fcntl:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, BlockingIOError)
    return True


def _withdraw(path: Path, file: TextIO) -> None:
    # What cannot be removed is that of a dead run once its lock is gone, and what could not be written is not wanted.
    with suppress(OSError):
        path.unlink()
    with suppress(OSError):
        file.close()
