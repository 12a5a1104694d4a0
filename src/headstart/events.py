"""What long work says while it runs. Whoever starts the work passes a listener; printing is the listener's affair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence that the user must see, such as how many files were skipped."""

    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units of the stage are finished; a bar reads this."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the frozen pass will cost, measured on its first batch and said before the rest starts.

    Attributes:
        examples: how many will be computed. seconds: estimated time. bytes: estimated size on disk.
        free_bytes: what the disk has left. cached: False when the features will not be kept, and `reason` says why.
    """

    examples: int
    seconds: float
    bytes: int
    free_bytes: int
    cached: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """One epoch of training: losses are means over examples, `validation` the task's metrics or empty.

    Attributes:
        stage: `head` for the linear solution, `thawed` for the blocks above the cut.
        epoch: 0 is the state before the first step of the stage; a fraction where a time limit ended it.
    """

    stage: str
    epoch: float
    train_loss: float
    validation: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    best: bool = False


Event = Note | Progress | Forecast | EpochEnded
Listener = Callable[[Event], None]


def ignore(event: Any) -> None:
    """Listen to nothing."""
