"""Who uses an entry: a run holds a shared lock on the lease file of each entry that it uses.

The system drops the lock with the process, however that ends, so that no lease is ever stale. Where locks cannot be
had, every entry counts as used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def lease_of(folder: Path, key: str) -> Path:
    """Return the lease file of an entry of the cache in `folder`."""
    return folder / f"{key}.lease"


class Lease:
    """Keeps an entry from being evicted until it is released or the process ends."""

    def __init__(self, folder: Path, key: str) -> None:
        self._descriptor = _open(lease_of(folder, key))
        if fcntl:
            with suppress(OSError):  # file systems without locks; none of their entries can be evicted either
                fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        os.close(self._descriptor)


@contextmanager
def alone(lease: Path) -> Iterator[bool]:
    """Say whether no run uses the entry; if so, none can until the block ends."""
    descriptor = _open(lease)
    try:
        yield _locked(descriptor)
    finally:
        os.close(descriptor)


def in_use(lease: Path) -> bool:
    """Say whether a run uses the entry."""
    with alone(lease) as nobody_else:
        return not nobody_else


def _open(lease: Path) -> int:
    return os.open(lease, os.O_RDWR | os.O_CREAT, 0o600)


def _locked(descriptor: int) -> bool:
    if not fcntl:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
