"""Rank backbones and depths: measure every depth, then really train the most promising within the time that is left.

The training is successive halving: all of a short list for few epochs, the better half of it for twice as many, and
so on. Jamieson, K. & Talwalkar, A. (2016). Non-stochastic best arm identification and hyperparameter optimization.
AISTATS, arXiv:1502.07943.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from headstart import assets
from headstart.backbones import open_backbone
from headstart.backbones.contract import Backbone
from headstart.data.dataset import Dataset
from headstart.device import resolve_device
from headstart.errors import DataError, HeadstartError, UsageError
from headstart.events import Forecast, Listener, Note, Progress
from headstart.features.cache import FeatureCache
from headstart.features.depths import pooled_depths
from headstart.ranking.candidates import Candidate, Cut, Ranking, backbones_by, in_order
from headstart.ranking.defaults import choose_engine, task_class
from headstart.ranking.measuring import Conditions, measure_depths, train_candidate
from headstart.registry import plugin, plugins
from headstart.training.recipe import Recipe
from headstart.types import Example, Kind

BUDGET = 5.0  # minutes
FOLDS = 4
MOST_EXAMPLES = 1000  # more sharpen a comparison little and cost as much again
_PILOT = 32  # examples that tell what a pass will cost
_FEWEST = 40  # examples below which nothing can be told
_MEASURING = 0.5  # share of the budget that passes and scores may take
_SHORT_LIST = 6
_THAWED = 2  # blocks, of the candidates that thaw some
_MOST_EPOCHS = 8


class Budget:
    """Seconds, counted from the start."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._started = seconds, time.perf_counter()

    @property
    def spent(self) -> float:
        return time.perf_counter() - self._started

    @property
    def left(self) -> float:
        return self.seconds - self.spent


def rank_backbones(
    dataset: Dataset, recipe: Recipe, *, backbones: Sequence[str], cache: FeatureCache, minutes: float,
    listener: Listener,
) -> Ranking:  # fmt: skip
    """Return the candidates of all backbones in order of their worth for the data, test examples left alone.

    Args:
        backbones: names; none of them means those of the catalogue that read this kind of data and are here.
        minutes: for measuring and training; what does not fit is left out, with the reason.

    Raises:
        UsageError: the task gives each step an output, or the budget is none. DataError: there are too few examples.
    """
    if not 0 < minutes < math.inf:
        raise UsageError(f"a budget of {minutes:g} minutes is none", "give --budget some minutes")
    search = _Search(_conditions(dataset, recipe, cache, listener), Budget(60 * minutes))
    search.measure(backbones)
    search.confirm()
    return search.ranking()


def _conditions(dataset: Dataset, recipe: Recipe, cache: FeatureCache, listener: Listener) -> Conditions:
    task_type = task_class(dataset, recipe)
    if task_type.head and plugin("heads", task_type.head).per_step:
        raise UsageError(
            f"`{task_type.name_for(dataset.kind)}` reads every step, and a ranking reads one vector an example",
            "choose the depth of `headstart fit` by --keep",
        )
    folds = dataset.folds(FOLDS, seed=recipe.seed)
    # By the hash of their content: at random, but the same ones every time.
    examples = sorted((e for e in dataset.examples if e.name in folds), key=lambda e: (dataset.hashes[e.name], e.name))
    _require_company(dataset, examples)
    return Conditions(
        dataset=dataset, examples=tuple(examples[:MOST_EXAMPLES]), folds=folds, task=task_type.of(dataset),
        recipe=recipe, engine=choose_engine(recipe), cache=cache, listener=_without_forecasts(listener),
    )  # fmt: skip


def _require_company(dataset: Dataset, examples: Sequence[Example]) -> None:
    """Raise DataError where most examples are the only one of their class: nothing is left to learn it from."""
    counts = Counter(name for example in examples for name in dataset.form.classes(example.target))
    alone = sum(any(counts[name] < 2 for name in dataset.form.classes(example.target)) for example in examples)
    if alone > len(examples) / 2:
        raise DataError(
            f"{alone} of {len(examples)} examples of `{dataset.source}` are the only one of their class",
            "a ranking judges each example by what others of its class have taught; give it two or more of each",
        )


def _without_forecasts(listener: Listener) -> Listener:
    """Many short passes need no forecast each."""
    return lambda event: None if isinstance(event, Forecast) else listener(event)


class _Search:
    """The state of one ranking.

    Attributes:
        backbones: those that were measured, by name; each is measured on the first so many of the examples, `counts`,
            of which its pass takes `seconds`.
        found: candidates whose head alone would be trained. trained: those that really were, by their cut.
        left_out: the reason by backbone.
    """

    def __init__(self, conditions: Conditions, budget: Budget) -> None:
        self.conditions, self.budget = conditions, budget
        self.backbones: dict[str, Backbone] = {}
        self.counts: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.found: list[Candidate] = []
        self.trained: dict[Cut, Candidate] = {}
        self.left_out: dict[str, str] = {}

    def measure(self, names: Sequence[str]) -> None:
        """Measure every depth of these backbones, or of the fitting ones of the catalogue.

        Raises:
            HeadstartError: one that was named cannot be opened. DataError: none of them could be measured.
        """
        named = [self._open(name) for name in dict.fromkeys(names)]  # all, before the first is measured
        for backbone in named or self._of_the_catalogue(self.conditions.dataset.kind):
            try:
                count = self._count(backbone)
                self.found += measure_depths(backbone, self.conditions, self.conditions.examples[:count])
                self.backbones[backbone.name], self.counts[backbone.name] = backbone, count
            except HeadstartError as error:
                self.left_out[backbone.name] = error.message
        if not self.found:
            reasons = "; ".join(f"`{name}`: {reason}" for name, reason in self.left_out.items())
            raise DataError(f"no backbone could be measured: {reasons or 'none is here'}", "name one with --backbones")

    def _open(self, name: str) -> Backbone:
        dataset, device = self.conditions.dataset, resolve_device(self.conditions.recipe.device)
        return open_backbone(name, examples=dataset.examples, device=device)

    def _of_the_catalogue(self, kind: Kind) -> Iterator[Backbone]:
        """Yield the backbones that are here, the smallest first, and note the others that read this kind of data."""
        families = [family.name for family in plugins("backbones").values() if family.kind == kind]
        fitting = {name: one for name, one in assets.catalogue().items() if one.family in families}
        for name in sorted(fitting, key=lambda name: fitting[name].parameters):
            if not assets.present(name):
                self.left_out[name] = f"not here: `headstart assets get {name}` obtains it"
                continue
            try:
                backbone = self._open(name)
            except HeadstartError as error:
                self.left_out[name] = error.message
            else:
                yield backbone

    def _count(self, backbone: Backbone) -> int:
        """Return on how many examples the backbone can be measured within its share of the budget.

        Raises:
            DataError: not even on a few, and another has been measured.
        """
        count = len(self.conditions.examples)
        pilot = self.conditions.features(backbone, pooled_depths(backbone), self.conditions.examples[:_PILOT])
        each = pilot.pass_seconds / max(len(pilot), 1)
        self.seconds[backbone.name] = each * count
        fits = int((_MEASURING * self.budget.seconds - self.budget.spent) / each)
        if fits >= count or pilot.hits == len(pilot):  # found ones were stored by an earlier run
            return count
        if fits < _FEWEST and self.found:
            raise DataError(
                f"its pass would take {each * count / 60:.1f} of the {self.budget.seconds / 60:g} minutes",
                "give a larger --budget",
            )
        fits = min(count, max(fits, _FEWEST))
        self.conditions.listener(
            Note(f"{backbone.name} is measured on {fits} of {count} examples: the budget is short")
        )
        return fits

    def confirm(self) -> None:
        """Train a short list by successive halving while the budget lasts."""
        rung, epochs = self._short_list(), 1
        while epochs <= _MOST_EPOCHS and all(self._train(cut, epochs, rung) for cut in rung) and len(rung) > 1:
            rung = sorted(rung, key=lambda cut: -self.trained[cut].score)[: (len(rung) + 1) // 2]
            epochs *= 2

    def _short_list(self) -> list[Cut]:
        """Return the best depth of each backbone, then the best of all others, with all and with few blocks frozen."""
        by_score = sorted(self.found, key=lambda one: -one.score)
        best = {one.backbone: one for one in reversed(by_score)}
        firsts = sorted(best.values(), key=lambda one: -one.score)
        depths = [(one.cut, max(one.keep - less, 0)) for one in (*firsts, *by_score) for less in (0, _THAWED)]
        return list(dict.fromkeys(cut._replace(freeze=freeze) for cut, freeze in depths))[:_SHORT_LIST]

    def _train(self, cut: Cut, epochs: int, rung: Sequence[Cut]) -> bool:
        """Train one candidate, where that is still to be done, and return False where its time is not left."""
        if cut in self.trained and cut.freeze == cut.keep:  # an exact solution does not depend on epochs
            return True
        if self._expected(cut, epochs) > self.budget.left:
            return False
        examples = self.conditions.examples[: self.counts[cut.backbone]]
        head = next(one for one in self.found if one.cut == cut._replace(freeze=cut.keep))
        self.trained[cut] = train_candidate(
            self.backbones[cut.backbone], cut, self.conditions, examples, epochs=epochs, measures=head.measures
        )
        self.conditions.listener(Progress(f"training, {epochs} epochs each", rung.index(cut) + 1, len(rung)))
        return True

    def _expected(self, cut: Cut, epochs: int) -> float:
        """Return about how many seconds the training takes: a pass, and three an epoch over what is thawed."""
        if cut in self.trained:
            return 2 * self.trained[cut].seconds
        thawed = (cut.keep - cut.freeze) / len(self.backbones[cut.backbone].blocks)
        return self.seconds[cut.backbone] * (1 + 3 * epochs * FOLDS * thawed)

    def ranking(self) -> Ranking:
        """Return all candidates, each as it was measured last."""
        rest = [one for one in self.found if one.cut not in self.trained]
        candidates = in_order([*self.trained.values(), *rest])
        return Ranking(
            candidates=candidates, metric=f"eval_{self.conditions.task.metric}", orders=self._orders(candidates),
            left_out=self.left_out, examples=max(self.counts.values()), available=len(self.conditions.folds),
            seconds=self.budget.spent,
        )  # fmt: skip

    def _orders(self, candidates: Sequence[Candidate]) -> dict[str, list[str]]:
        """Return the backbones that were measured, as two rules without measuring order them, and as measured."""
        measured = backbones_by(candidates, lambda one: one.score)
        catalogue = assets.catalogue()
        published = {name: catalogue[name].published for name in measured if name in catalogue}
        return {
            "largest": sorted(measured, key=lambda name: -self.backbones[name].parameters),
            "published": sorted((name for name in published if published[name]), key=lambda name: -published[name]),
            "measured": measured,
        }
