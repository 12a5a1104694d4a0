"""Unsure answers: a threshold from validation that halves the mistakes, and what it does on the test."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.evaluation.abstaining import abstention_of, unsure_below, wanted_accuracy, when_unsure
from headstart.record import Judged


def answers(certainty: np.ndarray, right: np.ndarray) -> list[Judged]:
    return [
        Judged(str(n), "", "a", "a" if good else "b", float(sure))
        for n, (sure, good) in enumerate(zip(certainty, right, strict=True))
    ]


def honest(count: int, seed: int = 0) -> list[Judged]:
    """Return answers that are right as often as they say."""
    random = np.random.default_rng(seed)
    certainty = random.uniform(0.5, 1, size=count)
    return answers(certainty, random.random(count) < certainty)


def test_the_threshold_halves_the_mistakes_and_answers_as_much_as_it_can() -> None:
    judged = honest(2000)
    wanted = wanted_accuracy(judged, 0.0)
    assert wanted == pytest.approx(0.875, abs=0.02)
    threshold = unsure_below(judged, wanted)
    assert threshold == pytest.approx(0.75, abs=0.04)
    kept = [one.right for one in judged if one.score >= threshold]
    assert np.mean(kept) >= wanted
    more = [one.right for one in judged if one.score >= threshold - 0.02]
    assert np.mean(more) < wanted
    assert when_unsure(judged, 0.95)["unsure_below"] > threshold


@pytest.mark.parametrize(
    "judged",
    [
        [],
        answers(np.linspace(0.5, 1, 50), np.ones(50, bool)),  # nothing is wrong
        answers(np.linspace(0.5, 1, 50), np.zeros(50, bool)),  # nothing is right
        answers(np.full(50, 0.7), np.arange(50) < 25),  # nothing tells the right ones
        answers(np.linspace(0.5, 1, 12), np.arange(12) >= 6),  # fewer than ten would be answered
        [Judged("n", "", "1", "2", error=1.0)] * 30,  # a quantity is not sure of itself
    ],
)
def test_where_no_threshold_helps_there_is_none(judged: list[Judged]) -> None:
    assert when_unsure(judged, 0.0) == {}


def test_the_curve_falls_to_the_accuracy_of_all_and_the_threshold_lies_on_it() -> None:
    found = abstention_of(honest(1000, seed=1), threshold=0.75, wanted=0.875)
    assert found is not None
    assert found.answered is not None
    assert found.right is not None
    assert [point.place for point in found.curve][-1] == 1
    assert found.curve[0].score > found.curve[-1].score + 0.1
    assert all(point.ci_low < point.score <= point.ci_high for point in found.curve)
    assert found.answered.score == found.right.place == pytest.approx(0.5, abs=0.05)
    assert found.right.score == pytest.approx(0.875, abs=0.04)
    assert found.right.count == round(1000 * found.right.place)


def test_the_curve_of_grouped_examples_is_less_sure() -> None:
    judged = [one for one in honest(60) for _ in range(10)]
    groups = np.repeat(np.arange(60), 10)
    plain, grouped = (abstention_of(judged, threshold=None, wanted=None, groups=g) for g in (None, groups))
    assert plain is not None
    assert grouped is not None
    assert grouped.threshold is None
    for one, other in zip(plain.curve, grouped.curve, strict=True):
        assert (one.place, one.score) == (other.place, other.score)
        assert other.ci_high - other.ci_low > 1.5 * (one.ci_high - one.ci_low)


def test_few_or_no_examples_have_no_curve_of_their_own() -> None:
    assert abstention_of([], threshold=0.5, wanted=0.9) is None
    assert abstention_of([Judged("n", "", "1", "2", error=1.0)], threshold=None, wanted=None) is None
    few = abstention_of(honest(4), threshold=0.999, wanted=0.9)
    assert few is not None
    assert [point.count for point in few.curve] == [4]
    assert few.right is None
