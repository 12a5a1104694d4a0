"""How far the numbers of a run can be relied on: by stated probability, by certainty, by the number of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.evaluation.abstaining import abstention_of
from headstart.evaluation.calibration import calibration_of
from headstart.evaluation.growth import growth_of
from headstart.evaluation.judging import judged
from headstart.record import Abstention, Calibration
from headstart.training.loop import Labelled

if TYPE_CHECKING:
    from headstart.evaluation.measure import Run


def curves_of(run: Run, test: Labelled | None, logits: np.ndarray | None) -> dict[str, Any]:
    """Return the curves of a record by the names of its fields.

    Args:
        test: what was judged, the test split or all folds; `logits`: the model's, or those of the folds.
    """
    return {
        "calibration": _calibration(run, test, logits),
        "abstention": _abstention(run, test, logits),
        "growth": growth_of(run),
    }


def _calibration(run: Run, test: Labelled | None, logits: np.ndarray | None) -> Calibration | None:
    temperature = run.task.temperature
    if temperature is None:
        return None
    if test is None or logits is None:
        return Calibration(temperature)
    before, after = logits * temperature, logits
    if run.found and test is run.found.judged:
        before, after = run.found.raw, run.found.calibrated
    return calibration_of(run.task, before, after, test.targets, temperature=temperature, groups=test.groups)


def _abstention(run: Run, test: Labelled | None, logits: np.ndarray | None) -> Abstention | None:
    if test is None or logits is None:
        return None
    if run.found and test is run.found.judged:
        logits = run.found.calibrated
    said = judged(run.model.task, test, logits)
    facts = run.model.facts
    return abstention_of(
        said, threshold=run.model.unsure_below, wanted=facts.get("answered_accuracy"), groups=test.groups
    )
