"""The promise of a check: it looks at evidence and says what is wrong, which examples show it, and the way out.

A check is one file in this folder (or one entry point of another package) ending in `check = MyCheck()`. It decides
nothing: whether an example leaves the data is for the user to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from headstart.checking.evidence import Evidence
from headstart.types import KINDS, Kind

LEAVE_OUT = ""
"""The suggestion to leave an example out: no label."""


class Severity(IntEnum):
    """How much a problem matters: what is measured is wrong; what is learnt is wrong; worth a look."""

    SCORES = 0
    LEARNING = 1
    ODD = 2


@dataclass(frozen=True, slots=True)
class Case:
    """One occurrence of a problem.

    Attributes:
        names: of the examples that show it; of several that are alike, the one to change first.
        note: what is special about it, as a clause.
        score: how sure, or how much alike, 0 to 1.
        suggestion: the label that the first example should rather have, `LEAVE_OUT`, or None where there is none.
    """

    names: tuple[str, ...]
    note: str = ""
    score: float = 1.0
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of fault with all its occurrences.

    Attributes:
        kind: how programs call it, such as `near-duplicates`.
        what: what is wrong, as a heading. advice: what to do, in a sentence.
        cases: the surest first.
    """

    kind: str
    what: str
    advice: str
    severity: Severity
    cases: tuple[Case, ...]


class Check(ABC):
    """Look for one kind of fault.

    Attributes:
        name: how the check is called; unique.
        kinds: which data it looks at.
        needs: `vectors`, `sketches` or nothing; without them the check is left out.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]] = KINDS
    needs: ClassVar[str] = ""

    @abstractmethod
    def find(self, evidence: Evidence) -> Iterator[Problem]:
        """Yield what is wrong, nothing where all is well. It depends on the evidence alone."""

    @abstractmethod
    def plant(self, evidence: Evidence) -> Evidence:
        """Return clean evidence of sixty examples with the fault that the check is to find; tests sweep these."""
