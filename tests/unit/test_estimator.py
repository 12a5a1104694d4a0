"""The estimator keeps scikit-learn's conventions, on arrays and on texts and files, and runs frozen blocks once."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from headstart import Estimator
from headstart import model as model_module
from headstart.cut import FrozenPart
from headstart.errors import DataError, ModelError, UsageError
from networks import write_network
from samples import reviews, write_photos


# All checks of scikit-learn that apply to a classifier are passed. Sample and class weights do not apply: `fit` takes
# none (`balance` weighs classes), so scikit-learn leaves their checks out by itself.
@parametrize_with_checks([Estimator()])
def test_scikit_learn_s_own_checks(estimator: Estimator, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_network(tmp_path_factory.mktemp("network")))


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each test a cache of its own; the fresh process that checks a saved folder costs seconds."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the examples of each pass of a frozen part."""
    seen, forward = [], FrozenPart.forward

    def counted(self: FrozenPart, inputs: dict[str, Any]) -> Any:
        seen.append(len(next(iter(inputs.values()))))
        return forward(self, inputs)

    monkeypatch.setattr(FrozenPart, "forward", counted)
    return seen


def texts(rows: int = 24, *, classes: int = 2) -> tuple[list[str], np.ndarray]:
    found = reviews(rows, classes=classes)
    return [row["text"] for row in found], np.array([row["label"] for row in found])


def estimator(network: str, **settings: Any) -> Estimator:
    return Estimator(backbone=network, **{"keep": "all", "freeze": "all", "epochs": 1, **settings})


@pytest.mark.parametrize("classes", [2, 3])
def test_texts_are_learnt(network: str, classes: int) -> None:
    inputs, labels = texts(36, classes=classes)
    fitted = estimator(network).fit(inputs, labels)
    assert list(fitted.classes_) == sorted(set(labels))
    assert fitted.n_features_in_ == 1
    assert fitted.score(inputs, labels) > 0.2 + 1 / classes
    proba = fitted.predict_proba(inputs)
    assert proba.shape == (36, classes)
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_array_equal(fitted.classes_[proba.argmax(1)], fitted.predict(inputs))
    decided = fitted.decision_function(inputs)
    assert decided.shape == ((36,) if classes == 2 else (36, 3))


@pytest.mark.parametrize("kind", [list, np.array, lambda found: np.array(found, dtype=object)])
def test_inputs_come_in_any_sequence(network: str, kind: Any) -> None:
    inputs, labels = texts()
    assert set(estimator(network).fit(kind(inputs), labels).predict(kind(inputs[:5]))) <= set(labels)


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_label_is_named_by_its_place(missing: object) -> None:
    with pytest.raises(ValueError, match="the target at 1 is missing"):
        Estimator().fit(["a", "b", "c"], ["x", missing, "y"])


def test_labels_of_other_types_come_back_as_they_were(network: str) -> None:
    inputs, labels = texts()
    fitted = estimator(network).fit(inputs, labels == "positive")
    assert fitted.predict(inputs).dtype == bool
    assert fitted.score(inputs, labels == "positive") > 0.7


def test_names_of_photos_are_files(tmp_path: Path) -> None:
    photos = sorted(write_photos(tmp_path / "photos").rglob("*.png"))
    network = str(write_network(tmp_path / "vit", "vit"))
    fitted = estimator(network).fit(photos, [photo.parent.name for photo in photos])
    assert fitted.score([str(photo) for photo in photos], [photo.parent.name for photo in photos]) > 0.8
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="input 2 is not an image"):
        fitted.predict([photos[0], tmp_path / "bad.png"])


def test_a_fitted_estimator_learns_nothing_from_the_frozen_blocks_twice(network: str, passes: list[int]) -> None:
    inputs, labels = texts()
    estimator(network).fit(inputs, labels).predict(inputs)
    assert sum(passes) == 24
    estimator(network, head="cls", random_state=7).fit(inputs, labels).score(inputs, labels)
    assert sum(passes) == 24


def test_a_grid_search_runs_each_depth_once_an_example(network: str, passes: list[int]) -> None:
    inputs, labels = texts()
    grid = {"freeze": [2, 3], "keep": ["all"], "head": ["mean", "cls"]}
    search = GridSearchCV(estimator(network), grid, cv=3, error_score="raise").fit(inputs, labels)
    assert set(search.best_params_) == set(grid)
    assert sum(passes) == 2 * 24
    GridSearchCV(estimator(network, balance=False), {"freeze": [2, 3]}, cv=2, error_score="raise").fit(inputs, labels)
    assert sum(passes) == 2 * 24


def test_it_stands_in_a_pipeline(network: str) -> None:
    inputs, labels = texts()
    lower = FunctionTransformer(lambda found: [text.lower() for text in found])
    assert make_pipeline(lower, estimator(network)).fit(inputs, labels).score(inputs, labels) > 0.8
    vectors = np.random.default_rng(0).normal(size=(60, 4))
    scores = cross_val_score(make_pipeline(StandardScaler(), Estimator()), vectors, vectors[:, 0] > 0, cv=3)
    assert scores.mean() > 0.8


def test_a_clone_has_the_settings_and_nothing_learnt(network: str) -> None:
    inputs, labels = texts()
    fitted = estimator(network, dropout=0.2).fit(inputs, labels)
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    assert not hasattr(copied, "classes_")
    assert copied.set_params(freeze=2).freeze == 2


@pytest.mark.parametrize("freeze", ["all", 2])
def test_a_pickled_estimator_predicts_the_same_where_the_backbone_is_gone(tmp_path: Path, freeze: int | str) -> None:
    inputs, labels = texts()
    network = write_network(tmp_path / "network")
    fitted = estimator(str(network), freeze=freeze).fit(inputs, labels)
    expected = fitted.predict_proba(inputs)
    data = pickle.dumps(fitted)
    network.rename(tmp_path / "moved")
    again = pickle.loads(data)
    np.testing.assert_allclose(again.predict_proba(inputs), expected, atol=1e-3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(again)).predict_proba(inputs), again.predict_proba(inputs))


def test_what_a_pickle_carries_is_a_folder_that_headstart_loads(network: str, tmp_path: Path) -> None:
    import headstart

    inputs, labels = texts()
    fitted = estimator(network).fit(inputs, labels)
    for name, data in fitted.__getstate__()["_network"].items():
        (tmp_path / name).write_bytes(data)
    labels = [prediction.label for prediction in headstart.load(tmp_path).predict(inputs)]
    assert labels == list(fitted.predict(inputs))


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"freeze": 99}, ModelError, "99"),
        ({"head": "meen"}, UsageError, "`meen`"),
        ({"task": "text-clasification"}, UsageError, "`text-clasification`"),
        ({"task": "text-regression"}, UsageError, "has no task"),
        ({"backbone": "none"}, ModelError, "`none`"),
        ({"epochs": 0}, UsageError, "epochs"),
        ({"storage": "int8"}, UsageError, "storage"),
    ],
)
def test_wrong_settings_are_told_when_fitting(network: str, settings: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        estimator(network).set_params(**settings).fit(*texts())


def test_wrong_data_are_told(network: str) -> None:
    inputs, labels = texts()
    for given, targets in ((inputs, None), (inputs, labels[:3]), (inputs, ["one"] * 24), ([], []), ([1, "a"], [0, 1])):
        with pytest.raises(ValueError, match=r"y|Found|1 class|array|convert"):
            estimator(network).fit(given, targets)
    with pytest.raises(ValueError, match="fitted on texts"):
        estimator(network).fit(inputs, labels).predict(np.zeros((3, 2)))


def test_importing_headstart_does_not_load_it() -> None:
    code = "import headstart, sys, json; print(json.dumps('sklearn' in sys.modules))"
    assert json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) is False
