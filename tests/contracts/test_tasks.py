"""Every task poses a problem, solves its linear form, measures it as the field does, and can be written down."""

from __future__ import annotations

import copy
import json
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch

from headstart.data.dataset import Dataset
from headstart.errors import DataError, UsageError
from headstart.intervals import wilson
from headstart.registry import plugins
from headstart.tasks.classification import Classification, confusion, probabilities
from headstart.tasks.contract import Task, find_task, task_names
from headstart.tasks.multilabel import Multilabel
from headstart.tasks.regression import Regression
from headstart.tasks.tagging import Tagging, spans
from headstart.types import KINDS, Example, Label
from records import sample_record

TASKS = plugins("tasks")


@pytest.fixture(params=sorted(task_names()))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def dataset(counts: dict[str, int], *, kind: str = "text", absent: tuple[str, ...] = ()) -> Dataset:
    examples = tuple(
        Example(f"{label} {number}", {kind: "x"}, target=label, split="train")
        for label, count in counts.items()
        for number in range(count)
    )
    labels = tuple(sorted({*counts, *absent}))
    return Dataset(examples, kind, labels, (), (), Path("data"))


def clouds(*counts: int, width: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors around one centre a class, and their classes."""
    random = np.random.default_rng(seed)
    centres = 4 * random.normal(size=(len(counts), width))
    targets = np.repeat(np.arange(len(counts)), counts)
    return (centres[targets] + random.normal(size=(len(targets), width))).astype(np.float32), targets


def classification(classes: int) -> Classification:
    return Classification("text", [f"class{number}" for number in range(classes)])


def test_a_task_says_what_it_is(name: str) -> None:
    task, kind = find_task(name)
    assert issubclass(task, Task)
    assert name == task.name_for(kind)
    assert set(task.kinds) <= set(KINDS)


@dataclass
class Posed:
    """A task as its own sample poses it: a text of three words an example, a step a word."""

    task: Task
    examples: list[Example]
    targets: np.ndarray

    def outputs(self, seed: int = 0) -> np.ndarray:
        """Return random logits, as a head of this task gives them."""
        return np.random.default_rng(seed).normal(size=self._shape(self.task.outputs)).astype(np.float32)

    def vectors(self) -> np.ndarray:
        """Return what a linear layer reads: the targets themselves, spread over some random directions."""
        random = np.random.default_rng(1)
        if self._steps:
            words = np.eye(self.task.outputs)[self.targets] @ random.normal(size=(self.task.outputs, 6))
            return words + 0.1 * random.normal(size=words.shape)
        flat = self.targets.reshape(len(self.examples), -1).astype(np.float64)
        return flat @ random.normal(size=(flat.shape[1], 6)) + 0.1 * random.normal(size=(len(flat), 6))

    @property
    def _steps(self) -> bool:
        return bool(self.task.head) and plugins("heads")[self.task.head].per_step

    def _shape(self, width: int) -> tuple[int, ...]:
        return (len(self.examples), 3, width) if self._steps else (len(self.examples), width)


class WordByWord:
    """A tokenizer for which every word is one step."""

    def word_steps(self, example: Example) -> list[int]:
        return list(range(len(example.inputs["text"].split())))


@pytest.fixture
def posed(name: str) -> Posed:
    task_class, kind = find_task(name)
    raw = [
        Example(f"example {n}", {kind: f"word word {n}"}, target, "train")
        for n, target in enumerate(task_class.sample())
    ]
    form = task_class.form
    examples = [replace(example, target=form.read(example)) for example in raw]
    labels = tuple(sorted({label for example in examples for label in form.classes(example.target)}))
    task = task_class.of(Dataset(tuple(examples), kind, labels, (), (), Path("data"), form=form))
    task.read_with(WordByWord())
    return Posed(task, examples, task.encode(examples))


def test_a_task_survives_being_written_down(name: str, posed: Posed) -> None:
    task = posed.task
    task.settle(posed.outputs(), posed.targets)
    written = tomllib.loads(tomli_w.dumps(task.to_config()))
    again = type(task).from_config(written)
    again.read_with(WordByWord())
    assert again.to_config() == task.to_config()
    assert (again.full_name, again.outputs) == (name, task.outputs)
    logits = posed.outputs()
    assert again.decode(logits, posed.examples) == task.decode(logits, posed.examples)


def test_metrics_name_the_first_one_with_its_interval(posed: Posed) -> None:
    task, logits = posed.task, posed.outputs()
    found = task.metrics(logits, posed.targets)
    assert "eval_loss" in found
    first = f"eval_{task.metric}"
    assert found[f"{first}_ci_low"] <= found[first] <= found[f"{first}_ci_high"]
    fast = task.metrics(logits, posed.targets, intervals=False)
    assert fast == {key: value for key, value in found.items() if "_ci_" not in key}


def test_examples_that_come_in_copies_widen_every_interval(posed: Posed) -> None:
    """Twelve copies of each example: as a dozen times as many they would look a good deal surer than they are."""
    task, copies = posed.task, 12
    logits, targets = (np.repeat(one, copies, axis=0) for one in (posed.outputs(), posed.targets))
    plain = task.metrics(logits, targets)
    names = np.repeat(np.arange(len(posed.examples)), copies)
    grouped = task.metrics(logits, targets, groups=names)
    tables = [task.sections(logits, targets, groups=of)[-1 if task.metric == "r2" else 0] for of in (None, names)]
    widths = [[cell[2] - cell[1] for row in table.rows for cell in row if isinstance(cell, list)] for table in tables]
    assert all(wide > narrow for narrow, wide in zip(*widths, strict=True) if narrow)
    for name in [name for name in plain if name.endswith("_ci_low")]:
        high = f"{name.removesuffix('_low')}_high"
        assert grouped[high] - grouped[name] > 1.5 * (plain[high] - plain[name])
    assert {name for name in plain if "_ci_" not in name and plain[name] != grouped[name]} == set()


def test_outcomes_of_examples_make_the_first_metric_and_that_of_any_part(posed: Posed) -> None:
    task, logits = posed.task, posed.outputs()
    outcomes, first = task.outcomes(logits, posed.targets), f"eval_{task.metric}"
    assert len(outcomes) == len(posed.examples)
    for part in (slice(None), slice(2, 7)):
        expected = task.metrics(logits[part], posed.targets[part], intervals=False)
        assert task.score(outcomes[part]) == pytest.approx(expected[first])


def test_the_sample_of_a_task_is_read_by_its_own_form(name: str) -> None:
    task_class, kind = find_task(name)
    raw = [Example(str(n), {kind: "word word 1"}, target) for n, target in enumerate(task_class.sample())]
    forms = {other: other.form.claims(raw) for other in TASKS.values()}
    assert forms[task_class] in (0, max(forms.values()))
    assert len({task_class.form.text(task_class.form.read(example)) for example in raw}) > 1
    for missing in (None, float("nan")):
        with pytest.raises(ValueError, match="has"):
            task_class.form.read(replace(raw[0], target=missing))


def test_strata_name_every_example(posed: Posed) -> None:
    strata = posed.task.form.strata([example.target for example in posed.examples])
    assert len(strata) == len(posed.examples)
    assert posed.task.form.strata([]) == []


@pytest.mark.parametrize("balance", [True, False])
def test_every_linear_solution_beats_the_uninformed_answer(posed: Posed, balance: bool) -> None:
    task, vectors = posed.task, posed.vectors()
    weight, bias = task.solve(vectors, posed.targets, strength=10.0, balance=balance)
    assert (weight.shape, bias.shape) == ((task.outputs, 6), (task.outputs,))
    assert weight.dtype == bias.dtype == np.float32
    solved = task.metrics(vectors @ weight.T + bias, posed.targets)
    plain = np.broadcast_to(task.uninformed(posed.targets), posed.outputs().shape)
    assert solved[f"eval_{task.metric}"] >= task.metrics(plain, posed.targets)[f"eval_{task.metric}"]
    assert plain.shape[-1] == task.outputs


def test_the_loss_of_training_is_that_of_evaluation_and_has_a_gradient(posed: Posed) -> None:
    logits = torch.from_numpy(posed.outputs()).requires_grad_()
    loss = posed.task.loss(logits, torch.from_numpy(posed.targets), balance=False)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0
    assert loss.item() == pytest.approx(posed.task.metrics(posed.outputs(), posed.targets)["eval_loss"], rel=1e-4)


def test_predictions_are_plain_values_under_promised_names(posed: Posed) -> None:
    for example, prediction in zip(posed.examples, posed.task.decode(posed.outputs(), posed.examples), strict=True):
        assert json.loads(json.dumps(prediction.to_json()))
        assert isinstance(prediction.shown(3), str)
        judged = posed.task.judge(example, prediction)
        assert judged.name == example.name
        assert judged.target
        assert (judged.score is None) != (judged.error is None)


def test_a_perfect_prediction_is_judged_right_or_without_error(posed: Posed) -> None:
    vectors = posed.vectors()
    weight, bias = posed.task.solve(vectors, posed.targets, strength=1e4, balance=False)
    predictions = posed.task.decode(vectors @ weight.T + bias, posed.examples)
    judged = [posed.task.judge(e, p) for e, p in zip(posed.examples, predictions, strict=True)]
    assert sum(one.right or (one.error is not None and one.error < 1) for one in judged) > len(judged) / 2


def test_sections_can_be_written_and_rendered(posed: Posed) -> None:
    from headstart.record import Record
    from headstart.reporting.report import render

    sections = posed.task.sections(posed.outputs(), posed.targets)
    record = sample_record("text", sections=sections, history=[], depths=[])
    again = Record.from_dict(json.loads(json.dumps(record.to_dict())))
    assert again.sections == sections
    page = render(again)
    assert all(section.title in page for section in sections)


def test_a_finished_layer_gives_what_its_task_reads_and_back(posed: Posed) -> None:
    task = posed.task
    linear = torch.nn.Linear(6, task.outputs)
    before = copy.deepcopy(linear.state_dict())
    vectors = torch.from_numpy(posed.vectors().astype(np.float32))
    expected = task.metrics(linear(vectors).detach().numpy(), posed.targets, intervals=False)
    finished = task.finish(linear)
    found = finished.metrics(linear(vectors).detach().numpy(), posed.targets, intervals=False)
    assert found == pytest.approx(expected, rel=1e-3)
    task.begin(linear)
    for name, tensor in linear.state_dict().items():
        torch.testing.assert_close(tensor, before[name])


def test_pooled_outputs_are_judged_as_the_settled_task_judges(posed: Posed) -> None:
    plain, settled = copy.deepcopy(posed.task), posed.task
    settled.settle(posed.outputs(), posed.targets)
    first = f"eval_{settled.metric}"
    pooled = plain.metrics(settled.pooled(posed.outputs(1)), posed.targets, intervals=False)
    assert pooled[first] == pytest.approx(settled.metrics(posed.outputs(1), posed.targets, intervals=False)[first])


def test_a_misspelt_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="`image-clasification`") as caught:
        find_task("image-clasification")
    assert "`image-classification`" in caught.value.hint


def test_targets_come_back_as_the_labels_they_were() -> None:
    data = dataset({"zebra": 2, "ant": 1, "cat": 3})
    task = Classification.of(data)
    targets = task.encode(data.examples)
    assert targets.dtype == np.int64
    certain = np.full((len(targets), 3), -9.0)
    certain[np.arange(len(targets)), targets] = 9.0
    assert [prediction.label for prediction in task.decode(certain)] == [e.target for e in data.examples]


def test_scores_are_probabilities_the_most_probable_first() -> None:
    (prediction,) = classification(3).decode(np.array([[1.0, 3.0, 2.0]]))
    assert isinstance(prediction, Label)
    assert list(prediction.scores) == ["class1", "class2", "class0"]
    assert sum(prediction.scores.values()) == pytest.approx(1)
    assert prediction.score == prediction.scores[prediction.label] == max(prediction.scores.values())


@pytest.mark.parametrize("logits", [[1e30, -1e30], [-1e4, -1e4], [0.0, 0.0]])
def test_extreme_logits_give_finite_scores(logits: list[float]) -> None:
    scores = probabilities(np.array([logits], np.float32))
    assert np.isfinite(scores).all()
    assert scores.sum() == pytest.approx(1)


@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.parametrize("counts", [(20, 20), (20, 20, 20, 20), (90, 5), (60, 4, 4)])
def test_the_linear_solution_separates_what_can_be_separated(counts: tuple[int, ...], balance: bool) -> None:
    vectors, targets = clouds(*counts)
    weight, bias = classification(len(counts)).solve(vectors, targets, strength=1.0, balance=balance)
    assert (weight.shape, bias.shape) == ((len(counts), 5), (len(counts),))
    assert weight.dtype == bias.dtype == np.float32
    assert ((vectors @ weight.T + bias).argmax(1) == targets).mean() > 0.97


@pytest.mark.parametrize("classes", [2, 3])
def test_the_linear_solution_is_scikit_learn_s(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    vectors, targets = clouds(*[15] * classes)
    weight, bias = classification(classes).solve(vectors, targets, strength=0.1, balance=False)
    scaled = StandardScaler().fit_transform(vectors)
    expected = LogisticRegression(C=0.1, max_iter=1000).fit(scaled, targets).predict_proba(scaled)
    np.testing.assert_allclose(probabilities(vectors @ weight.T + bias), expected, atol=2e-3)


def test_balance_helps_the_rare_class() -> None:
    random = np.random.default_rng(0)
    targets = np.repeat([0, 1], [200, 10])
    vectors = (random.normal(size=(210, 2)) + 1.2 * targets[:, None]).astype(np.float32)
    recall = {}
    for balance in (True, False):
        weight, bias = classification(2).solve(vectors, targets, strength=1.0, balance=balance)
        recall[balance] = ((vectors @ weight.T + bias).argmax(1)[targets == 1] == 1).mean()
    assert recall[True] > recall[False] + 0.2


@pytest.mark.parametrize("present", [(0, 2), (1, 3), (0, 1, 3)])
def test_a_class_without_examples_is_never_predicted_and_harms_no_other(present: tuple[int, ...]) -> None:
    vectors, place = clouds(*[12] * len(present))
    targets = np.array(present)[place]
    weight, bias = classification(4).solve(vectors, targets, strength=1.0, balance=True)
    predicted = (vectors @ weight.T + bias).argmax(1)
    assert set(predicted) <= set(present)
    assert (predicted == targets).mean() > 0.97


@pytest.mark.parametrize("seed", range(3))
def test_metrics_of_several_labels_are_scikit_learn_s(seed: int) -> None:
    from sklearn import metrics

    random = np.random.default_rng(seed)
    targets = random.integers(0, 2, (40, 4)).astype(np.float32)
    logits = random.normal(size=(40, 4)) + targets
    task = Multilabel("text", "abcd", [0.3, 0.5, 0.6, 0.7])
    decided = 1 / (1 + np.exp(-logits)) >= task.thresholds
    found = task.metrics(logits, targets)
    assert found["eval_f1_micro"] == pytest.approx(metrics.f1_score(targets, decided, average="micro"))
    assert found["eval_f1_macro"] == pytest.approx(metrics.f1_score(targets, decided, average="macro"))
    assert found["eval_loss"] == pytest.approx(np.mean([
        metrics.log_loss(targets[:, k], 1 / (1 + np.exp(-logits[:, k]))) for k in range(4)
    ]))  # fmt: skip


def test_a_threshold_finds_the_rare_label() -> None:
    targets = np.zeros((50, 1), np.float32)
    targets[:6] = 1
    logits = np.where(targets == 1, -1.5, -4.0) + 0.1 * np.random.default_rng(0).normal(size=(50, 1))
    task = Multilabel("text", ["rare"])
    assert task.metrics(logits, targets)["eval_f1_micro"] == 0
    task.settle(logits, targets)
    assert task.metrics(logits, targets)["eval_f1_micro"] == 1
    assert 0.02 < task.thresholds[0] < 0.3
    assert task.decode(logits)[0].labels == ("rare",)
    few = Multilabel("text", ["rare"])
    few.settle(logits[:2], targets[:2])
    assert few.thresholds[0] == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_metrics_of_numbers_are_scikit_learn_s(seed: int) -> None:
    from sklearn import metrics

    random = np.random.default_rng(seed)
    targets = 100 + 20 * random.normal(size=30).astype(np.float32)
    logits = ((targets - 100) / 20 + 0.5 * random.normal(size=30))[:, None]
    task = Regression("text", 100.0, 20.0, 20.0)
    found = task.metrics(logits, targets)
    values = [prediction.value for prediction in task.decode(logits)]
    assert found["eval_r2"] == pytest.approx(metrics.r2_score(targets, values))
    assert found["eval_mae"] == pytest.approx(metrics.mean_absolute_error(targets, values))


def test_ridge_is_scikit_learn_s_on_standardised_vectors() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    random = np.random.default_rng(0)
    vectors = random.normal(size=(40, 6)).astype(np.float32) * [1, 10, 0.1, 1, 1, 1] + 3
    targets = (vectors @ random.normal(size=6) + 50).astype(np.float32)
    task = Regression("text", float(targets.mean()), float(targets.std()), float(targets.std()))
    weight, bias = task.solve(vectors.astype(np.float32), targets, strength=1.0, balance=False)
    scaled = StandardScaler().fit_transform(vectors)
    expected = Ridge(alpha=10).fit(scaled, targets).predict(scaled)
    found = [one.value for one in task.decode(vectors.astype(np.float32) @ weight.T + bias)]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_few_examples_never_claim_to_be_certain() -> None:
    for task, logits, targets in (
        (Multilabel("text", "ab"), np.array([[9.0, -9.0]]), np.array([[1, 0]], np.float32)),
        (Regression("text", 0.0, 1.0, 1.0), np.array([[1.0], [4.0]]), np.array([1.2, 3.0], np.float32)),
    ):
        found = task.metrics(logits, targets)
        first = f"eval_{task.metric}"
        assert found[f"{first}_ci_high"] - found[f"{first}_ci_low"] > 0.1


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O B-x I-x O", [(1, 3, "x")]),
        ("B-x B-x I-x", [(0, 1, "x"), (1, 3, "x")]),
        ("I-x I-y O I-x", [(0, 1, "x"), (1, 2, "y"), (3, 4, "x")]),
        ("B-x I-y I-y", [(0, 1, "x"), (1, 3, "y")]),
        ("B-x I-x E-x S-x S-y", [(0, 3, "x"), (3, 4, "x"), (4, 5, "y")]),
        ("B-x L-x U-x I-x", [(0, 2, "x"), (2, 3, "x"), (3, 4, "x")]),
        ("NOUN NOUN VERB O NOUN", [(0, 2, "NOUN"), (2, 3, "VERB"), (4, 5, "NOUN")]),
        ("O O", []),
        ("", []),
    ],
)
def test_spans_are_read_as_the_shared_task_does(tags: str, expected: list[tuple[int, int, str]]) -> None:
    assert spans(tags.split()) == expected


def test_a_span_counts_only_where_its_words_and_its_kind_are_right() -> None:
    task = Tagging("text", ["B-x", "B-y", "I-x", "O"])
    true, predicted = "B-x I-x O B-y B-x", "B-x I-x O B-x I-x"
    index = {tag: number for number, tag in enumerate(task.labels)}
    targets = np.array([[-100, *(index[tag] for tag in true.split())]])
    logits = 9.0 * np.eye(4)[[0, *(index[tag] for tag in predicted.split())]][None]
    found = task.metrics(logits, targets)
    assert found["eval_f1_micro"] == pytest.approx(2 * 1 / (2 + 3))
    assert found["eval_accuracy"] == pytest.approx(3 / 5)
    rows = task.sections(logits, targets)[0].rows
    assert [[row[0], row[1][0], row[2][0], *row[3:]] for row in rows] == [
        ["x", 0.5, 0.5, 0.5, 2], ["y", 0.0, 0.0, 0.0, 1],
    ]  # fmt: skip


def test_one_class_alone_is_always_predicted() -> None:
    vectors, _ = clouds(6)
    weight, bias = classification(3).solve(vectors, np.full(6, 1), strength=1.0, balance=True)
    assert ((vectors @ weight.T + bias).argmax(1) == 1).all()


def test_a_constant_feature_is_no_matter() -> None:
    vectors, targets = clouds(10, 10)
    vectors[:, 2] = 7.0
    weight, bias = classification(2).solve(vectors, targets, strength=1.0, balance=True)
    assert np.isfinite(weight).all()
    assert ((vectors @ weight.T + bias).argmax(1) == targets).all()


def test_the_loss_weighs_classes_by_their_inverse_frequency() -> None:
    task = Classification.of(dataset({"common": 9, "rare": 1}))
    logits, targets = torch.zeros(10, 2), torch.tensor([0] * 9 + [1])
    logits[:, 0] = 1.0
    plain, balanced = (task.loss(logits, targets, balance=balance) for balance in (False, True))
    each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(plain, each.mean())
    torch.testing.assert_close(balanced, (each[:9].mean() + each[9]) / 2)


def test_a_class_that_occurs_only_in_the_test_split_is_known() -> None:
    task = Classification.of(dataset({"cat": 3, "cow": 2}, absent=("dog",)))
    assert task.labels == ("cat", "cow", "dog")
    assert task.loss(torch.zeros(3, 3), torch.zeros(3, dtype=torch.int64), balance=True).isfinite()


@pytest.mark.parametrize(("counts", "said"), [({"cat": 3}, "only the class `cat`"), ({}, "no example")])
def test_one_class_in_training_cannot_be_learnt(counts: dict[str, int], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        Classification.of(dataset(counts, absent=("dog",)))
    assert "two classes" in caught.value.hint


@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_scikit_learn_s(seed: int) -> None:
    from sklearn import metrics

    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 6))
    targets = random.integers(0, classes - (seed == 4), 40)
    logits = random.normal(size=(40, classes)) + 1.5 * np.eye(classes)[targets]
    predicted = logits.argmax(1)
    task = classification(classes)
    found = task.metrics(logits, targets)
    assert found["eval_accuracy"] == pytest.approx(metrics.accuracy_score(targets, predicted))
    assert found["eval_f1_macro"] == pytest.approx(metrics.f1_score(targets, predicted, average="macro"))
    expected_loss = metrics.log_loss(targets, probabilities(logits), labels=list(range(classes)))
    assert found["eval_loss"] == pytest.approx(expected_loss, abs=1e-9)
    every = list(range(classes))
    counts = confusion(predicted, targets, classes)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(targets, predicted, labels=every))
    expected = metrics.precision_recall_fscore_support(targets, predicted, labels=every, zero_division=0.0)
    rows = task.sections(logits, targets)[0].rows
    ours = [[row[1][0], row[2][0], *row[3:]] for row in rows]
    np.testing.assert_allclose(np.transpose(ours), expected)
    assert rows[0][2] == [rows[0][2][0], *wilson(counts[0, 0], counts[0].sum())]
    assert task.sections(logits, targets)[1].counts == counts.tolist()


def test_a_single_test_example_has_metrics() -> None:
    found = classification(2).metrics(np.array([[0.0, 1.0]]), np.array([1]))
    assert found["eval_accuracy"] == 1
    assert all(np.isfinite(value) for value in found.values())
