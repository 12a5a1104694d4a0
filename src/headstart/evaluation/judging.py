"""Examples beside what was said of them, one by one: those of the test, and those that thresholds are chosen on."""

from __future__ import annotations

import numpy as np

from headstart.record import Judged
from headstart.tasks.contract import Task
from headstart.training.adapt import Adapted
from headstart.training.folds import OutOfFold
from headstart.training.loop import Labelled


def judged(task: Task, labelled: Labelled, logits: np.ndarray) -> list[Judged]:
    """Return every example with what these logits predict for it."""
    examples = [labelled.features.examples[index] for index in labelled.indices]
    predictions = task.decode(logits, examples)
    return [task.judge(example, prediction) for example, prediction in zip(examples, predictions, strict=True)]


def judged_apart(task: Task, finished: Task, adapted: Adapted, found: OutOfFold | None) -> list[Judged]:
    """Return predictions for examples that neither the weights behind them nor the test have anything to do with.

    Args:
        task: with the temperature that was settled. finished: what reads logits that were divided by it.
    """
    if found:
        return judged(finished, found.judged, found.calibrated)
    if adapted.held_out is None:
        return []
    return judged(finished, adapted.held_out.labelled, task.calibrated(adapted.held_out.logits))
