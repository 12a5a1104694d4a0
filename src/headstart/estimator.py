"""The face of scikit-learn: an estimator for pipelines, cross-validation and grid search.

    GridSearchCV(headstart.Estimator(), {"freeze": [4, 5, 6], "head": ["mean", "cls"]}).fit(texts, labels)

Features are found in the cache, so that a search runs the frozen blocks once an example and depth, whatever the
folds, heads and settings. What it learns on: texts, paths of photos or recordings, or a 2-D array of numbers, which
stands for features already: then there is no backbone, and the head is all that is fitted.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.backbones import open_backbone
from headstart.backbones.contract import Backbone
from headstart.cut import Features, FrozenPart, TrainablePart, to_device
from headstart.data.dataset import Dataset, content_hash
from headstart.data.media import kind_of_file
from headstart.data.split import assign_splits
from headstart.device import resolve_device
from headstart.engines.contract import Engine
from headstart.errors import DataError, UsageError
from headstart.events import ignore
from headstart.features.cache import open_cache
from headstart.features.extract import BATCH, FeatureSet, extract, inputs_of
from headstart.heads.contract import make_head
from headstart.model import Model, assemble, load
from headstart.ranking.defaults import choose_backbone, choose_cut, choose_engine, known_facts
from headstart.registry import plugin
from headstart.tasks.classification import Classification, probabilities
from headstart.tasks.contract import Task, find_task
from headstart.training.adapt import adapt, labelled_splits
from headstart.training.recipe import Depth, Recipe
from headstart.training.views import choose_views, with_views
from headstart.types import Example, Kind, Spec

_SAMPLE = 4  # examples that a pickled network is compared on
_LONGEST_NAME = 4096  # characters of a path; what is longer is a text


class UnfitTargets(DataError, ValueError):
    """Targets that nothing can be learnt from; scikit-learn expects a ValueError."""


def _refuse_missing(y: Any) -> None:
    """Raise where a target is None or NaN; among texts NumPy would make a class `nan` of it."""
    for place, one in enumerate(np.asarray(y, dtype=object).ravel()):
        if one is None or (isinstance(one, float) and math.isnan(one)):
            raise UnfitTargets(f"the target at {place} is missing", "leave such examples out")


class Estimator(ClassifierMixin, BaseEstimator):
    """Adapt a pre-trained backbone to labelled texts, photos or recordings, with scikit-learn's conventions.

    A fifth of the training examples decides settings that are chosen by measurement; there is no test split here.

    Args:
        task: such as `image-classification`; `auto` tells photos and recordings by the endings of their names.
        backbone: catalogue name, folder, or hub id.
        keep, freeze, head: where the network is cut, and what reads it; see `Recipe`.
        epochs, learning_rate, batch_size, dropout, balance: of the training; see `Recipe`.
        engine, device, storage, cache: how features are computed and kept; see `Recipe`.
        random_state: decides the held-out fifth, order and dropout.
        recipe: all other settings.

    Attributes:
        classes_: the classes, sorted. n_features_in_: columns of an array, 1 for texts and files.
    """

    def __init__(
        self, task: str = "auto", backbone: str = "auto", *, keep: Depth = "auto", freeze: Depth = "auto",
        head: str = "auto", epochs: int = 10, learning_rate: float = 1e-3, batch_size: int = 16, dropout: float = 0.1,
        balance: bool = True, engine: str = "auto", device: str = "auto", storage: str = "float16", cache: bool = True,
        random_state: Any = 0, recipe: Recipe | None = None,
    ) -> None:  # fmt: skip
        self.task = task
        self.backbone = backbone
        self.keep = keep
        self.freeze = freeze
        self.head = head
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.dropout = dropout
        self.balance = balance
        self.engine = engine
        self.device = device
        self.storage = storage
        self.cache = cache
        self.random_state = random_state
        self.recipe = recipe

    def fit(self, X: Any, y: Any) -> Estimator:  # noqa: N803
        """Learn from texts, paths, or an array [N, D], and their classes [N].

        Raises:
            HeadstartError: an input cannot be read, or the backbone cannot be cut like this.
            ValueError: `y` has one class, or X and `y` do not fit together.
        """
        recipe = self._recipe()
        self._network: _Network | None = None
        if _are_inputs(X):
            targets, kind = self._targets(X, y), _kind(X, self.task)
            self._network = _Network.fit(_examples(X, kind, targets), self._labels, kind, recipe)
            self.n_features_in_ = 1
        else:
            vectors, y = validate_data(self, X, y, dtype=np.float64)
            self._weight, self._bias = _fit_head(vectors, self._targets(vectors, y), self._labels, recipe)
        return self

    def decision_function(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the head's outputs [N, K]; for two classes the second's less the first's, [N]."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the probability of each class, [N, K], in the order of `classes_`."""
        return probabilities(self._logits(X))

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the most probable class of each input, [N]."""
        logits = self._logits(X)
        return self.classes_[logits.argmax(1)]

    def _logits(self, X: Any) -> np.ndarray:  # noqa: N803
        check_is_fitted(self, "classes_")
        if self._network is None:
            vectors = validate_data(self, X, dtype=np.float64, reset=False)
            return vectors @ self._weight.T + self._bias
        if not _are_inputs(X):
            raise UnfitTargets("the estimator was fitted on texts or files", "give a list of them")
        return self._network.logits(_examples(X, self._network.task.kind, [None] * len(X)), self._recipe())

    @property
    def _labels(self) -> list[str]:
        """The names of the classes, as a saved model has them."""
        return [str(one) for one in self.classes_]

    def _targets(self, X: Any, y: Any) -> list[str]:  # noqa: N803
        """Set `classes_` and return the name of each target."""
        if y is None:
            raise UnfitTargets("the estimator requires y to be passed, but the target y is None", "give the classes")
        _refuse_missing(y)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise UnfitTargets(f"y has 1 class, `{self.classes_[0]}`", "give examples of at least two classes")
        return [self._labels[number] for number in numbers]

    def _recipe(self) -> Recipe:
        settings = {name: getattr(self, name) for name in self.get_params(deep=False)}
        settings.pop("recipe"), settings.pop("random_state")
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        return (self.recipe or Recipe()).replace(seed=int(seed), **settings)

    def __getstate__(self) -> dict[str, Any]:
        """Carry the files of the model's folder in the place of the network."""
        state = dict(super().__getstate__())
        if state.get("_network"):
            state["_network"] = state["_network"].files()
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        if state.get("_network"):
            state["_network"] = _Network.of_files(state["_network"])
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags


@dataclass
class _Network:
    """A backbone that was adapted, and still has its frozen part: predictions find their features in the cache too.

    Attributes:
        sample: a batch of inputs, to compare a written network on. written: the files of the model's folder.
    """

    backbone: Backbone
    frozen: FrozenPart
    trainable: TrainablePart
    engine: Engine
    task: Task
    keep: int
    sample: Features | None = None
    written: Mapping[str, bytes] | None = None

    @classmethod
    def fit(cls, examples: Sequence[Example], labels: Sequence[str], kind: Kind, recipe: Recipe) -> _Network:
        """Adapt what lies above the cut; each example says its class, one of `labels`."""
        dataset = _dataset(examples, [content_hash(example) for example in examples], recipe, labels, kind)
        device, name = resolve_device(recipe.device), choose_backbone(kind, recipe.backbone)
        backbone = open_backbone(name, examples=dataset.examples, device=device)
        keep, freeze, head_name = choose_cut(backbone, recipe, Classification)
        frozen, blocks = backbone.cut(freeze, keep)
        task = Classification.of(dataset)
        head = make_head(head_name, backbone.outputs_at(keep), task.outputs, dropout=recipe.dropout)
        sample = inputs_of(backbone, [backbone.preprocess.decode(example) for example in examples[:_SAMPLE]])
        network = cls(
            backbone, frozen, TrainablePart(blocks, head).to(device), choose_engine(recipe), task, keep, sample
        )
        features = network.features(dataset.examples, recipe, views=choose_views(recipe, dataset))
        splits = with_views(labelled_splits(features, task.encode(features.examples)))
        adapt(network.trainable, splits, task, recipe, ignore)
        network.task = task.finish(network.trainable.head.linear)
        return network

    @classmethod
    def of_files(cls, files: Mapping[str, bytes]) -> _Network:
        """Return the network whose model folder had these files."""
        with tempfile.TemporaryDirectory() as place:
            for name, data in files.items():
                (Path(place) / name).write_bytes(data)
            model = load(place)
        frozen, blocks = model.backbone.cut(model.freeze)
        trainable = TrainablePart(blocks, model.head).to(model.device)
        engine, keep = plugin("engines", model.engine), len(model.backbone.blocks)
        return cls(model.backbone, frozen, trainable, engine, model.task, keep, written=files)

    def files(self) -> Mapping[str, bytes]:
        """Return the files of the model's folder by name, as `headstart.load` reads them."""
        if self.written is None:
            whole, head = assemble(self.backbone, self.trainable, keep=self.keep)
            facts = {"backbone": self.backbone.name, "keep": self.keep, **known_facts(self.backbone)}
            model = Model(whole, len(self.frozen.blocks), head, self.task, self.engine.name, facts)
            with tempfile.TemporaryDirectory() as place:
                model.save(place, sample=self.sample)
                self.written = {file.name: file.read_bytes() for file in Path(place).iterdir()}
        return self.written

    @torch.no_grad()
    def logits(self, examples: Sequence[Example], recipe: Recipe) -> np.ndarray:
        """Return the head's outputs [N, K] for examples in order."""
        self.trainable.eval()
        features = self.features(examples, recipe)
        places = [np.arange(start, min(start + BATCH, len(examples))) for start in range(0, len(examples), BATCH)]
        batches = (to_device(features.batch(one), self.trainable.device) for one in places)
        return np.concatenate([self.trainable(batch).cpu().double().numpy() for batch in batches])

    def features(self, examples: Sequence[Example], recipe: Recipe, *, views: int = 1) -> FeatureSet:
        """Return what crosses the cut, found or computed; of training examples also further views.

        Raises:
            DataError: an input cannot be read; scikit-learn has no place for a prediction that is left out.
        """
        with open_cache(keep=recipe.cache) as cache:
            found = extract(
                examples, backbone=self.backbone, frozen=self.frozen, engine=self.engine, cache=cache,
                storage=recipe.storage, views=views,
            )  # fmt: skip
        if found.skipped:
            bad = found.skipped[0]
            raise DataError(f"{bad.name} {bad.error}", f"leave it out: {len(found.skipped)} in all cannot be used")
        return found


@dataclass(frozen=True)
class _Array:
    """Rows of an array as features."""

    vectors: torch.Tensor

    def batch(self, indices: Sequence[int] | np.ndarray) -> Features:
        return {"features": self.vectors[torch.as_tensor(indices)]}


def _fit_head(
    vectors: np.ndarray, targets: Sequence[str], labels: Sequence[str], recipe: Recipe
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight [K, D] and bias [K] for vectors [N, D] that stand for features already."""
    examples = [Example(f"row {number}", {}, target) for number, target in enumerate(targets, start=1)]
    dataset = _dataset(examples, [row.tobytes().hex() for row in vectors], recipe, labels, "text")
    outputs = {"features": Spec("vector", vectors.shape[1])}
    features = FeatureSet(dataset.examples, (), outputs, _Array(torch.from_numpy(vectors.astype(np.float32))))
    task = Classification.of(dataset)
    trainable = TrainablePart([], make_head("linear", outputs, task.outputs, dropout=recipe.dropout))
    adapt(trainable, labelled_splits(features, task.encode(features.examples)), task, recipe, ignore)
    linear = trainable.head.linear
    task.finish(linear)
    return linear.weight.detach().double().numpy(), linear.bias.detach().double().numpy()


def _dataset(
    examples: Sequence[Example], hashes: Sequence[str], recipe: Recipe, labels: Sequence[str], kind: Kind
) -> Dataset:
    """Return labelled examples with a validation split and no test split: whoever calls `fit` keeps that himself."""
    divided, _ = assign_splits(examples, hashes, seed=recipe.seed)
    kept = tuple(replace(one, split="train") if one.split == "test" else one for one in divided)
    known = {example.name: content for example, content in zip(examples, hashes, strict=True)}
    return Dataset(kept, kind, tuple(labels), (), (), Path("X"), hashes=known)


def _are_inputs(X: Any) -> bool:  # noqa: N803
    """Say whether `X` is a list of texts or paths, not a table of numbers."""
    if isinstance(X, str | bytes | Mapping) or getattr(X, "ndim", 1) != 1 or not hasattr(X, "__len__"):
        return False
    return len(X) > 0 and all(isinstance(one, str | os.PathLike) for one in X)


def _kind(inputs: Sequence[Any], task: str) -> Kind:
    """Return what the task reads; `auto` takes names of photos or recordings for files, and all else for texts."""
    if task == "auto":
        kinds = {kind_of_file(Path(one)) if len(str(one)) < _LONGEST_NAME else None for one in inputs}
        return (kinds.pop() or "text") if len(kinds) == 1 else "text"
    found, kind = find_task(task)
    if not issubclass(found, Classification):
        raise UsageError(f"the estimator has no task `{task}`", f"choose `{kind}-classification`, or headstart.fit")
    return kind


def _examples(inputs: Sequence[Any], kind: Kind, targets: Sequence[str | None]) -> list[Example]:
    def source(value: Any) -> str | Path:
        return str(value) if kind == "text" else Path(value)

    return [
        Example(f"input {number}", {kind: source(value)}, target)
        for number, (value, target) in enumerate(zip(inputs, targets, strict=True), start=1)
    ]
