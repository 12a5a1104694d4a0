"""How often examples have been looked at to judge a model: each look after which something is changed makes the
next score say less.
"""  # fmt: skip

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from headstart.durable import write_durably
from headstart.errors import HeadstartError
from headstart.events import Listener, Note, ignore
from headstart.model import SETTINGS
from headstart.record import Record

LOOKS = "looks.json"
"""Where a model folder counts them. It stays where it is when the model is given to others."""


@dataclass(frozen=True, slots=True)
class Look:
    """One time at which examples were judged.

    Attributes:
        at: UTC, as ISO 8601. by: the command. examples: how many. of_test: how many of them the model's own test had.
    """

    at: str
    by: str
    examples: int
    of_test: int


@dataclass(frozen=True, slots=True)
class Looks:
    """All looks at examples with a model, and how often each content was among them, by its hash."""

    looks: tuple[Look, ...] = ()
    seen: Mapping[str, int] | None = None

    def times(self, hashes: Collection[str]) -> int:
        """Return how often the one among them was looked at that was looked at most."""
        seen = self.seen or {}
        return max((seen.get(one, 0) for one in hashes), default=0)

    def with_one(self, look: Look, hashes: Collection[str]) -> Looks:
        seen = dict(self.seen or {})
        seen |= {one: seen.get(one, 0) + 1 for one in set(hashes)}
        return Looks((*self.looks, look), seen)

    @property
    def at_test(self) -> tuple[Look, ...]:
        """Those that had examples of the model's own test among them."""
        return tuple(look for look in self.looks if look.of_test)


def now() -> str:
    """Return the time in UTC to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def count_look(
    folder: Path, hashes: Collection[str], *, by: str, tested_on: Collection[str], listener: Listener = ignore
) -> Looks:
    """Count that examples with these contents are judged now, and return all looks, this one included.

    A folder that cannot be written, such as one that others share, costs the count and not the result.

    Args:
        tested_on: contents of the examples of the model's own test.
    """
    look = Look(now(), by, len(hashes), len(set(hashes) & set(tested_on)))
    looks = Looks().with_one(look, hashes)
    try:
        with _alone(folder):
            looks = read_looks(folder, listener=listener).with_one(look, hashes)
            _write(folder, looks)
    except (HeadstartError, OSError) as error:
        reason = getattr(error, "message", "") or getattr(error, "strerror", "") or str(error)
        listener(Note(f"that these examples were looked at could not be noted in the model's folder: {reason}"))
    return looks


def first_look(folder: Path, record: Record) -> None:
    """Begin the count of a run's own test, where it had one; that of a run that was cut off is forgotten.

    Raises:
        NoSpace, MachineError: the file cannot be written.
    """
    tested_on = record.data.get("tested_on", ())
    if tested_on:
        look = Look(record.data["tested_at"], "fit", len(tested_on), len(tested_on))
        _write(folder, Looks().with_one(look, tested_on))


def read_looks(folder: Path, *, listener: Listener = ignore) -> Looks:
    """Return the looks that a folder has counted; what is damaged is said and counted anew."""
    path = folder / LOOKS
    if not path.is_file():
        return Looks()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        looks = tuple(Look(**one) for one in found["looks"])
        for look in looks:
            datetime.fromisoformat(look.at)
        return Looks(looks, {str(hashed): int(times) for hashed, times in found["seen"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        listener(Note(f"`{path}` is damaged: how often the test examples were looked at is counted anew"))
        return Looks()


def _write(folder: Path, looks: Looks) -> None:
    write_durably(folder / LOOKS, json.dumps(asdict(looks), indent=1).encode())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for others that count in the same folder; where systems have no such locks, do not.

    The file of settings is held, which is never written again: a run that is writing holds the folder itself.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder / SETTINGS, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
