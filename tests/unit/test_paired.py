"""Two models on the same examples: published values, and what chance and groups do."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.evaluation.paired import difference_of, mcnemar, paired_difference
from headstart.tasks.classification import Classification
from headstart.tasks.regression import Regression


def matched(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Return who was right, from the four cells of a table of pairs."""
    counts = (both, only_a, only_b, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize(("cells", "expected"), [((5, 0, 0, 3), 1.0), ((9, 1, 6, 9), 0.125), ((0, 0, 10, 0), 2 / 1024)])
def test_mcnemar_is_the_exact_binomial_test(cells: tuple[int, int, int, int], expected: float) -> None:
    assert mcnemar(*matched(*cells)) == pytest.approx(expected)


def test_mcnemar_is_scipy_s_on_many_pairs() -> None:
    from scipy.stats import binomtest

    a, b = matched(4000, 900, 1000, 100)
    assert mcnemar(a, b) == pytest.approx(binomtest(900, 1900).pvalue, abs=1e-9)


def test_the_interval_of_matched_proportions_is_the_published_one() -> None:
    # Approval of a prime minister, asked twice: Agresti, Categorical Data Analysis (2002), table 10.1
    a, b = matched(794, 150, 86, 570)
    found = difference_of(np.mean, a, b)
    assert found.estimate == pytest.approx(0.04)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.0211, 0.0588), abs=5e-4)
    assert found.p_value < 1e-4
    assert found.beyond_noise


def test_pairs_that_all_agree_do_not_claim_to_be_certain() -> None:
    found = difference_of(np.mean, *matched(10, 0, 0, 0))
    assert found.ci_low < -0.05 < 0 < 0.05 < found.ci_high
    assert (found.estimate, found.p_value, found.beyond_noise) == (0, 1, False)
    grouped = difference_of(np.mean, *matched(10, 0, 0, 0), groups=[0, 1] * 5)
    assert grouped.ci_low < 0 < grouped.ci_high


def test_pairing_finds_what_two_intervals_apart_would_not() -> None:
    random = np.random.default_rng(0)
    hard = random.random(300) < 0.4
    a, b = ~hard, ~hard & (random.random(300) > 0.06)
    assert a.mean() - b.mean() < 0.08  # each alone has an interval of 11 points
    assert difference_of(np.mean, a, b).beyond_noise


def test_groups_that_answer_alike_widen_the_difference() -> None:
    groups = np.repeat(np.arange(8), 40)
    a = np.repeat([True, True, True, True, True, False, True, True], 40)
    b = np.repeat([True, False, True, False, True, True, True, True], 40)
    plain, grouped = difference_of(np.mean, a, b), difference_of(np.mean, a, b, groups=groups)
    assert grouped.ci_high - grouped.ci_low > 2 * (plain.ci_high - plain.ci_low)
    assert plain.beyond_noise
    assert not grouped.beyond_noise
    assert plain.p_value < 0.001 < 0.5 < grouped.p_value


def test_chance_alone_is_found_beyond_noise_about_one_time_in_twenty() -> None:
    random = np.random.default_rng(1)
    pairs = [(random.random(80) < 0.8, random.random(80) < 0.8) for _ in range(400)]
    assert np.mean([difference_of(np.mean, a, b).beyond_noise for a, b in pairs]) < 0.07
    assert np.mean([mcnemar(a, b) < 0.05 for a, b in pairs]) < 0.07


def test_numbers_are_compared_by_their_own_metric() -> None:
    random = np.random.default_rng(2)
    targets = 50 + 10 * random.normal(size=120)
    near, far = ((targets - 50) / 10 + scale * random.normal(size=120) for scale in (0.3, 0.6))
    task = Regression("text", 50.0, 10.0, 10.0)
    found = paired_difference(task, near[:, None], far[:, None], targets)
    first = [task.metrics(one[:, None], targets, intervals=False)["eval_r2"] for one in (near, far)]
    assert found.estimate == pytest.approx(first[0] - first[1])
    assert found.ci_low > 0
    assert found.p_value < 0.01
    plain = Regression("text", 0.0, 1.0, 10.0)
    again = paired_difference(task, near[:, None], 50 + 10 * far[:, None], targets, other=plain)
    assert (again.ci_low, again.p_value) == pytest.approx((found.ci_low, found.p_value))


def test_the_sign_is_that_of_the_first_less_the_second() -> None:
    task, targets = Classification("text", ["a", "b"]), np.array([0, 1] * 20)
    good, bad = 4.0 * np.eye(2)[targets], 4.0 * np.eye(2)[1 - targets]
    assert paired_difference(task, good, bad, targets).estimate == 1
    assert paired_difference(task, bad, good, targets).ci_high < -0.8
