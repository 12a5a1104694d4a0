from __future__ import annotations

import math
import time

import numpy as np
import pytest

from headstart.intervals import bootstrap, proportion, wilson


def accuracy(target, predicted):
    return (target == predicted).mean()


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_values(correct, n, low, high):
    assert wilson(correct, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_symmetric_and_stays_within_0_and_1():
    low, high = wilson(20, 20)
    assert high == 1.0
    assert low == pytest.approx(1 - 0.1611, abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)
    narrow, wide = wilson(50, 100, confidence=0.5), wilson(50, 100, confidence=0.99)
    assert wide[0] < narrow[0] < 0.5 < narrow[1] < wide[1]


def test_bootstrap_agrees_with_wilson_and_repeats_itself():
    target = np.zeros(400, int)
    predicted = (np.arange(400) < 60).astype(int)
    interval = bootstrap(accuracy, target, predicted)
    assert interval == pytest.approx(wilson(340, 400), abs=0.01)
    assert interval == bootstrap(accuracy, target, predicted)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        right = (generator.random(150) < 0.8).astype(int)
        low, high = bootstrap(np.mean, right, resamples=200, seed=seed)
        covered += low <= 0.8 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_groups_that_answer_alike_widen_the_interval():
    groups = np.repeat([f"speaker {i}" for i in range(10)], 30)
    right = np.repeat([1, 1, 1, 1, 1, 1, 1, 0, 0, 0], 30)
    low, high = bootstrap(np.mean, right)
    low_grouped, high_grouped = bootstrap(np.mean, right, groups=groups)
    assert high_grouped - low_grouped > 3 * (high - low)


def test_a_share_of_clustered_examples_covers_the_truth_where_wilson_s_interval_does_not():
    random = np.random.default_rng(4)
    groups = np.repeat(np.arange(25), 12)
    plain = grouped = 0
    for _ in range(300):  # each speaker has a rate of its own, 0.8 on average
        right = random.random(300) < np.repeat(random.beta(2.4, 0.6, size=25), 12)
        plain += wilson(right.sum(), 300)[0] <= 0.8 <= wilson(right.sum(), 300)[1]
        low, high = proportion(right, groups)
        grouped += low <= 0.8 <= high
    assert plain / 300 < 0.75
    assert 0.92 <= grouped / 300 <= 0.99


def test_groups_only_ever_widen_the_interval_of_a_share():
    random = np.random.default_rng(5)
    for _ in range(50):
        right, groups = random.random(60) < 0.9, random.integers(15, size=60)
        (low, high), (wide_low, wide_high) = proportion(right), proportion(right, groups)
        assert wide_low <= low <= high <= wide_high
    assert proportion(right) == wilson(right.sum(), 60)
    assert proportion(right, np.arange(60)) == pytest.approx(wilson(right.sum(), 60), abs=0.01)


def test_a_share_of_few_groups_that_are_all_right_is_as_sure_as_their_number():
    assert proportion(np.ones(500), np.arange(500) % 5) == wilson(5, 5)
    assert proportion(np.zeros(500), np.zeros(500)) == wilson(0, 1)
    assert proportion([], []) == (0.0, 1.0)


def test_one_group_a_row_is_the_ungrouped_bootstrap():
    right = (np.arange(300) % 4 > 0).astype(int)
    grouped = bootstrap(np.mean, right, groups=np.arange(300))
    assert grouped == pytest.approx(bootstrap(np.mean, right), abs=0.02)


def test_bootstrap_is_never_nan():
    assert bootstrap(accuracy, [], []) == (0.0, 1.0)
    assert bootstrap(lambda x: math.nan, [1, 2]) == (0.0, 1.0)
    sometimes = bootstrap(lambda x: x.mean() if x.any() else math.nan, [0, 0, 1])
    assert all(math.isfinite(end) for end in sometimes)


def test_bootstrap_is_fast_enough_to_run_for_every_score():
    target = np.random.default_rng(0).integers(5, size=2000)
    start = time.process_time()
    bootstrap(accuracy, target, target[::-1].copy(), groups=np.arange(2000) // 3)
    assert time.process_time() - start < 0.3
