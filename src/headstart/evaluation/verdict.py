"""What the intervals say of a run, as one of three words: whether pre-training gained anything on these data."""

from __future__ import annotations

from dataclasses import asdict
from math import ceil
from statistics import NormalDist

import numpy as np

from headstart.evaluation.baselines import Baselines
from headstart.evaluation.controls import Answers
from headstart.evaluation.paired import Difference, paired_difference
from headstart.record import Verdict
from headstart.tasks.contract import Task
from headstart.training.loop import Labelled

MATTERS = 0.1  # of the first metric: a difference that a test should be able to see
_POWER = 0.8  # how often it should see that
# Fewer than six examples on which only one of two models is right prove nothing (the exact sign test, at 5 %).
_FEWEST = ceil(6 / MATTERS)
_WIDEN = 1 + NormalDist().inv_cdf(_POWER) / NormalDist().inv_cdf(0.975)


def verdict_of(task: Task, logits: np.ndarray, test: Labelled, baselines: Baselines) -> Verdict | None:
    """Compare the adapted model with the simple one and with the better one from scratch, and say what follows.

    Each comparison is a paired difference on the test examples. It is beyond noise where its 95 % interval leaves out
    zero; where it is not, there must be `needed` examples before that counts as no difference.

    Returns:
        `simple-model-enough` where the adapted model is not better than the simple one beyond noise; else
        `pretraining-helped` where it is better than all it was compared with, and `no-difference` where it is not, or
        where there are too few test examples to tell. None where it was compared with neither.
    """
    rivals = {"simple": baselines["simple"], **_better_from_scratch(baselines)}
    found = {
        name: paired_difference(task, logits, one.logits, test.targets, groups=test.groups, other=one.task)
        for name, one in rivals.items()
        if one is not None
    }
    if not found:
        return None
    undecided = {name: count for name, one in found.items() if (count := needed(one)) > one.examples}
    differences = {name: asdict(one) for name, one in found.items()}
    simple = found.get("simple")
    if simple and simple.ci_low <= 0 and "simple" not in undecided:
        return Verdict("simple-model-enough", differences, MATTERS)
    if undecided:
        return Verdict("no-difference", differences, MATTERS, max(undecided.values()))
    better = all(one.ci_low > 0 for one in found.values())
    return Verdict("pretraining-helped" if better else "no-difference", differences, MATTERS)


def needed(difference: Difference) -> int:
    """Return how many test examples it takes to see a difference that matters; 0 where one was seen already.

    The interval narrows with the root of their number. Where the true difference is `MATTERS`, four of five tests of
    that size see it.
    """
    if difference.beyond_noise:
        return 0
    half = (difference.ci_high - difference.ci_low) / 2
    return max(_FEWEST, ceil(difference.examples * (_WIDEN * half / MATTERS) ** 2))


def _better_from_scratch(baselines: Baselines) -> dict[str, Answers]:
    """Return the better of the two controls that were trained from scratch, none where neither was."""
    trained = {name: one for name in ("from_scratch", "from_scratch_converged") if (one := baselines[name])}
    best = sorted(trained, key=lambda name: -trained[name].control.score)[:1]
    return {name: trained[name] for name in best}
