"""How the targets of a task are written in the data. The data know of a task no more than its `TargetForm`."""

from __future__ import annotations

import math
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from headstart.types import Example

NO_LABEL = "has no label"
# Below this many classes nobody mistakes a column of free text for labels.
FEW_CLASSES = 20
# From this many different numbers on, a column of labels looks like a quantity.
MANY_NUMBERS = 12


class TargetForm(ABC):
    """How a task reads what the data hold as targets, and which examples are alike for splitting.

    A raw target is what a format found: a cell as it is (text, number, list, None), a mapping from column to cell
    where several columns were named, or the name of a folder.

    Attributes:
        least_classes: fewer different classes cannot be learnt; 0 where targets are no classes.
    """

    least_classes: int = 0

    @abstractmethod
    def claims(self, examples: Sequence[Example]) -> int:
        """Say how well raw targets fit, where nobody named a task: 0 is not at all, the highest form reads them."""

    @abstractmethod
    def read(self, example: Example) -> Any:
        """Return the target of an example whose target is raw.

        Raises:
            ValueError: it cannot be used; the message is a clause such as `has no label`.
        """

    @abstractmethod
    def classes(self, target: Any) -> Collection[str]:
        """Return the classes that a target holds, none where it is a quantity."""

    def strata(self, targets: Sequence[Any]) -> list[str]:
        """Return a name for each target; splits get a like share of each name. Here: its rarest class."""
        counts = Counter(name for target in targets for name in self.classes(target))
        return [min(sorted(self.classes(target)), key=lambda name: counts[name], default="") for target in targets]

    def text(self, target: Any) -> str:
        """Return a target as people read it."""
        return str(target)

    def notes(self, raw: Sequence[Example], examples: Sequence[Example]) -> list[str]:
        """Say what is odd about the targets, before (`raw`) and after they were read."""
        return []


class ClassNames(TargetForm):
    """One class an example, by its name."""

    least_classes = 2

    def claims(self, examples: Sequence[Example]) -> int:
        return 1

    def read(self, example: Example) -> str:
        return class_name(example.target)

    def classes(self, target: str) -> tuple[str, ...]:
        return (target,)

    def notes(self, raw: Sequence[Example], examples: Sequence[Example]) -> list[str]:
        counts = Counter(example.target for example in examples)
        notes = [*mixed_types(raw), *alike(counts)]
        if _looks_like_a_quantity(counts):
            notes.append(
                f"The labels are {len(counts)} different numbers: if they are quantities, ask for "
                f"`--task {_kind(examples)}-regression`; as it is, each number is a class."
            )
        elif sum(counts[name] for name in counts if ";" in name) > len(examples) / 5:
            notes.append(
                "Many labels have a `;` in them: if that stands between several labels, ask for "
                f"`--task {_kind(examples)}-multilabel`; as it is, each combination is a class."
            )
        elif len(counts) > max(FEW_CLASSES, len(examples) / 2):
            notes.append(f"There are {len(counts)} classes for {len(examples)} examples: is it the right label column?")
        return notes


def class_name(raw: Any) -> str:
    """Return the name of a class: without spaces around it, in composed Unicode, numbers as they are written.

    Raises:
        ValueError: there is none, or it is a list or an object.
    """
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, list | tuple | Mapping):
        raise ValueError(f"has the label `{str(raw)[:40]}`, which is no single class")
    if not is_single(raw):
        raise ValueError(NO_LABEL)
    name = unicodedata.normalize("NFC", str(raw).strip())  # macOS writes `é` as two characters
    if not name:
        raise ValueError(NO_LABEL)
    return name


def is_single(raw: Any) -> bool:
    """Say whether a raw target is a text or a number, and not a missing value."""
    return isinstance(raw, str | int) or (isinstance(raw, float) and not math.isnan(raw))


def alike(names: Iterable[str]) -> list[str]:
    """Say where classes look like one class written twice."""
    same = defaultdict(list)
    for name in sorted(names):
        same["".join(name.casefold().split())].append(name)
    return [
        f"The classes {' and '.join(f'`{name}`' for name in group)} differ only in case or spaces: "
        "if they are one class, write them alike."
        for group in same.values()
        if len(group) > 1
    ]


def mixed_types(raw: Sequence[Example]) -> list[str]:
    """Say where some labels are numbers and others are texts, and name an example of each."""
    first: dict[str, str] = {}
    for example in raw:
        if is_single(example.target):
            kind = "texts" if isinstance(example.target, str) else "numbers or booleans"
            first.setdefault(kind, example.name)
    if len(first) < 2:
        return []
    listed = " and others ".join(f"{kind} (as in `{name}`)" for kind, name in sorted(first.items()))
    return [f"Some labels are {listed}: all are read as names of classes."]


def number(text: str) -> float | None:
    """Return the finite number that a text says, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _looks_like_a_quantity(counts: Counter[str]) -> bool:
    """Say whether classes are many numbers that are no whole ones, or that hardly repeat, as grades and years do."""
    values = [number(name) for name in counts]
    if len(counts) < MANY_NUMBERS or None in values:
        return False
    return any(value != int(value) for value in values if value is not None) or counts.total() < 20 * len(counts)


def _kind(examples: Sequence[Example]) -> str:
    return next(iter(examples[0].inputs))
