"""Probabilities that hold: a temperature from validation, in the saved weights, that changes no answer."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from headstart.evaluation.calibration import calibration_error, calibration_of, error_by_chance, reliability
from headstart.tasks.classification import Classification, best_temperature, probabilities
from headstart.tasks.multilabel import Multilabel
from headstart.tasks.regression import Regression
from headstart.tasks.tagging import NOWHERE, Tagging


def drawn(count: int, classes: int = 4, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits whose probabilities are true, and targets drawn by them."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(count, classes))
    chances = probabilities(logits).cumsum(1)
    return logits, np.minimum((random.random((count, 1)) > chances).sum(1), classes - 1)


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_factor_that_spoilt_probabilities_is_found(factor: float) -> None:
    logits, targets = drawn(4000)
    assert best_temperature(factor * logits, targets) == pytest.approx(factor, rel=0.06)


def test_the_error_falls_and_no_answer_changes() -> None:
    task = Classification("text", "abcd")
    validation, test = drawn(800, seed=1), drawn(800, seed=2)
    task.settle(3 * validation[0], validation[1])
    scaled = task.calibrated(3 * test[0])
    assert (scaled.argmax(1) == test[0].argmax(1)).all()
    assert task.temperature is not None
    found = calibration_of(task, 3 * test[0], scaled, test[1], temperature=task.temperature)
    assert found is not None
    assert found.ece_before is not None
    assert found.ece_after is not None
    assert found.ece_before > 0.15
    assert found.ece_after < 0.04
    assert sum(point.count for point in found.after) == 800
    assert all(point.ci_low <= point.place <= point.ci_high for point in found.after)
    assert not all(point.ci_low <= point.place <= point.ci_high for point in found.before)


def test_few_examples_that_are_all_right_do_not_ask_for_certainty() -> None:
    logits = np.array([[3.0, 0.0], [0.0, 2.0], [2.5, 0.0]] * 4)
    targets = logits.argmax(1)
    temperature = best_temperature(logits, targets)
    assert temperature > 0.4
    assert probabilities(logits / temperature).max() < 0.999
    assert best_temperature(np.repeat(logits, 100, axis=0), np.repeat(targets, 100)) < temperature


def test_the_error_of_few_examples_is_not_that_of_their_number() -> None:
    """A calibrated model on 60 examples: 15 bins of four find an error of some 15 points that is not there."""
    fixed, swept = [], []
    for seed in range(40):
        logits, targets = drawn(60, seed=seed)
        chances, right = probabilities(logits).max(1), logits.argmax(1) == targets
        parts = np.array_split(np.argsort(chances), 15)
        fixed.append(np.mean([abs(chances[part].mean() - right[part].mean()) for part in parts]))
        swept.append(calibration_error(chances, right))
    assert np.mean(fixed) > 0.13
    assert np.mean(swept) < 0.6 * np.mean(fixed)


def test_the_error_by_chance_is_what_probabilities_that_hold_show() -> None:
    found = []
    for seed in range(40):
        logits, targets = drawn(60, seed=seed)
        chances, right = probabilities(logits).max(1), logits.argmax(1) == targets
        found.append(calibration_error(chances, right) <= error_by_chance(chances))
    assert 0.85 <= np.mean(found) <= 1
    assert error_by_chance(np.linspace(0.5, 1, 4000)) < 0.04


def test_the_error_of_answers_that_are_all_half_sure_is_their_distance() -> None:
    assert calibration_error(np.full(100, 0.5), np.arange(100) < 80) == pytest.approx(0.3, abs=0.02)
    assert calibration_error(np.array([0.7]), np.array([True])) == pytest.approx(0.3)


def test_bins_of_grouped_examples_are_less_sure() -> None:
    random = np.random.default_rng(0)
    chances, groups = np.full(200, 0.8), np.repeat(np.arange(10), 20)
    held = np.repeat(random.random(10) < 0.7, 20)
    plain, grouped = (reliability(chances, held, names)[0] for names in (np.arange(200), groups))
    assert (plain.score, plain.count) == (grouped.score, grouped.count)
    assert grouped.ci_low < plain.ci_low


def test_thresholds_move_with_the_temperature() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(size=(400, 3)) - 1
    targets = (random.random((400, 3)) < 1 / (1 + np.exp(-truth))).astype(np.float32)
    task = Multilabel("text", "abc")
    linear = torch.nn.Linear(3, 3)
    with torch.no_grad():
        linear.weight.copy_(3 * torch.eye(3))
        linear.bias.zero_()
    before = linear(torch.from_numpy(truth).float()).detach().numpy()
    task.settle(before, targets)
    assert task.temperature == pytest.approx(3, rel=0.2)
    finished = task.finish(linear)
    after = linear(torch.from_numpy(truth).float()).detach().numpy()
    assert [one.labels for one in map(_ordered, finished.decode(after))] == [
        one.labels for one in map(_ordered, task.decode(before))
    ]
    first, second = (one.metrics(rows, targets) for one, rows in ((task, before), (finished, after)))
    assert second["eval_f1_micro"] == first["eval_f1_micro"]
    assert second["eval_loss"] < first["eval_loss"] - 0.1


def _ordered(prediction):
    return type(prediction)(tuple(sorted(prediction.labels)), prediction.scores)


def test_words_have_a_temperature_and_numbers_have_none() -> None:
    logits, targets = drawn(3000)
    task = Tagging("text", ["B-x", "I-x", "O", "B-y"])
    padded = np.concatenate([targets.reshape(300, 10), np.full((300, 2), NOWHERE)], axis=1)
    steps = np.concatenate([2 * logits.reshape(300, 10, 4), np.zeros((300, 2, 4))], axis=1)
    task.settle(steps, padded)
    assert task.temperature == pytest.approx(2, rel=0.1)
    found = calibration_of(task, steps, task.calibrated(steps), padded, temperature=2.0)
    assert found is not None
    assert sum(point.count for point in found.before) == 3000
    number = Regression("text", 0.0, 1.0, 1.0)
    number.settle(logits[:, :1], logits[:, 0])
    assert number.temperature is None
    assert calibration_of(number, logits[:, :1], logits[:, :1], logits[:, 0], temperature=1.0) is None


def test_a_finished_layer_states_what_the_temperature_says() -> None:
    logits, targets = drawn(500)
    task = Classification("text", "abcd")
    task.settle(2 * logits, targets)
    linear = torch.nn.Linear(4, 4)
    vectors = torch.from_numpy(logits).float()
    before = linear(vectors).detach().numpy()
    settled = copy.copy(task)
    finished = task.finish(linear)
    np.testing.assert_allclose(linear(vectors).detach().numpy(), settled.calibrated(before), rtol=1e-5, atol=1e-6)
    assert (finished.temperature, finished.labels) == (None, task.labels)
    assert task.temperature == settled.temperature
