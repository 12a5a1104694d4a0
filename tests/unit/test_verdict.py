from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.evaluation.baselines import NAMES
from headstart.evaluation.controls import answers_of
from headstart.evaluation.paired import Difference
from headstart.evaluation.verdict import needed, verdict_of
from headstart.record import Verdict
from headstart.tasks.classification import Classification
from headstart.tasks.contract import Task
from headstart.tasks.multilabel import Multilabel
from headstart.tasks.regression import Regression
from headstart.training.loop import Labelled
from headstart.types import Example

TASK = Classification("text", ["a", "b"])


def judged(targets: np.ndarray, groups: int = 0) -> Labelled:
    examples = [
        Example(str(n), {"text": str(n)}, group=f"{n % groups}" if groups else None) for n in range(len(targets))
    ]
    features: Any = SimpleNamespace(examples=tuple(examples))
    return Labelled(features, np.arange(len(targets)), targets)


def right(share: float, n: int, *, start: int = 0) -> np.ndarray:
    """Return logits of which the given share is right for targets that are all 0, the wrong ones from `start` on."""
    logits = np.tile([1.0, 0.0], (n, 1))
    wrong = (start + np.arange(round((1 - share) * n))) % n
    logits[wrong] = [0.0, 1.0]
    return logits


def said(n: int, adapted: float, task: Task = TASK, **baselines: float) -> Verdict | None:
    test = judged(np.zeros(n, np.int64))
    answers = {name: answers_of(task, right(share, n, start=n // 2), test) for name, share in baselines.items()}
    return verdict_of(task, right(adapted, n), test, dict.fromkeys(NAMES) | answers)


def key(*arguments: Any, **baselines: float) -> str:
    found = said(*arguments, **baselines)
    assert found is not None
    return found.key


def test_pretraining_helped_where_it_beats_both_beyond_noise() -> None:
    assert key(200, 0.9, simple=0.7, from_scratch=0.6, from_scratch_converged=0.65) == "pretraining-helped"


def test_a_simple_model_that_is_as_good_or_better_is_enough() -> None:
    assert key(400, 0.90, simple=0.90, from_scratch=0.6) == "simple-model-enough"
    assert key(400, 0.80, simple=0.92, from_scratch=0.6) == "simple-model-enough"
    assert key(40, 0.5, simple=1.0, from_scratch=0.5) == "simple-model-enough"  # better beyond noise, few as they are


def test_the_better_one_from_scratch_decides() -> None:
    found = said(400, 0.9, simple=0.6, from_scratch=0.5, from_scratch_converged=0.9)
    assert found is not None
    assert found.key == "no-difference"
    assert found.needed == 0
    assert set(found.differences) == {"simple", "from_scratch_converged"}


def test_few_examples_tell_nothing_unless_the_difference_is_large() -> None:
    found = said(20, 0.9, simple=0.85, from_scratch=0.1)
    assert found is not None
    assert found.key == "no-difference"
    assert found.needed >= 60
    assert key(20, 1.0, simple=0.2, from_scratch=0.3) == "pretraining-helped"


def test_without_baselines_there_is_no_verdict_and_with_one_it_rests_on_that() -> None:
    assert said(100, 0.9) is None
    assert said(100, 0.9, majority=0.5, linear_probe=0.9) is None
    assert key(200, 0.9, simple=0.6) == "pretraining-helped"
    assert key(200, 0.9, from_scratch=0.6) == "pretraining-helped"


def test_examples_needed_shrink_with_the_interval_and_never_below_what_proves_anything() -> None:
    wide = needed(Difference(0.02, -0.1, 0.14, 0.5, 50))
    assert wide == 148
    assert needed(Difference(0.0, 0.0, 0.0, 1.0, 10)) == 60
    assert needed(Difference(0.2, 0.1, 0.3, 0.01, 10)) == 0


@pytest.mark.parametrize("groups", [0, 40])
def test_other_tasks_are_compared_on_their_own_metric(groups: int) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(200, 1)).astype(np.float32)
    ours, other = Regression("text", 0.0, 1.0, 1.0), Regression("text", 5.0, 2.0, 1.0)
    test = judged(values[:, 0], groups)
    simple = answers_of(other, (random.normal(size=(200, 1)) - 5) / 2, test)
    found = verdict_of(ours, values + 0.1, test, dict.fromkeys(NAMES) | {"simple": simple})
    assert found is not None
    assert found.key == "pretraining-helped"


def test_thresholds_that_a_copy_settles_are_its_own() -> None:
    import copy

    task = Multilabel("text", ["a", "b"])
    other = copy.copy(task)
    targets = np.tile([1.0, 0.0], (8, 1)).astype(np.float32)
    targets[::2, 1] = 1
    other.settle(np.where(targets > 0, -1.0, -3.0), targets)
    assert task.thresholds.tolist() == [0.5, 0.5]
    assert other.thresholds[1] < 0.5
