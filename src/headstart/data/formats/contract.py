"""The promise of a data format: it recognises what it can read, and reads it as examples.

A format is one file in this folder (or one entry point of another package) ending in `format = MyFormat()`.
Formats find and name the inputs; they do not decode pictures or recordings, so reading one is cheap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from headstart.types import Example, Kind, Skipped


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a table are called.

    Attributes:
        text: the text, or its words where every cell is a list of them.
        label: the target, or several columns with commas between; None reads no targets, as for predicting.
        group: examples of one group are never split; used where the table has the column.
        split: train, validation or test; used where the table has the column.
        text_pair: a second text beside the first; used where the table has the column.
    """

    text: str = "text"
    label: str | None = "label"
    group: str = "group"
    split: str = "split"
    text_pair: str = "text_pair"


@dataclass(frozen=True, slots=True)
class Note:
    """A plain sentence about the data that the user must see."""

    sentence: str


class Format(ABC):
    """Read one layout of labelled data.

    Attributes:
        name: how the format is called in messages; unique.
        kinds: the kinds of examples that it can yield.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Say whether `path` has this format, from its name and its listing alone; never raises."""

    @abstractmethod
    def read(self, path: Path, columns: Columns, *, kind: Kind | None = None) -> Iterator[Example | Skipped | Note]:
        """Yield every example in an order that depends on the data alone, with names that are unique.

        Targets are as they were found (`data.targets.TargetForm` says what that may be); a task reads them later.
        What cannot be used is yielded as `Skipped`; what the user must know besides, as `Note`.

        Args:
            path: something that `recognises` accepts.
            columns: how the columns of tables are called.
            kind: which kind to read where the data allow several.

        Raises:
            DataError: the data as a whole cannot be used.
        """

    @abstractmethod
    def sample(self, folder: Path) -> Path:
        """Write twelve examples of two classes into `folder` and return what `read` reads; tests sweep these."""
