"""Run again what made a model, and compare: data, weights, versions, predictions, metrics."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headstart.api import fit
from headstart.assessment import count, trained_data
from headstart.data.objects import data_path
from headstart.errors import ModelError
from headstart.events import Listener, ignore
from headstart.model import Model, load
from headstart.record import Record
from headstart.training.recipe import Recipe

_CHOSEN = ("task", "keep", "freeze", "head", "labels", "engine")


@dataclass(frozen=True)
class Reproduction:
    """What a second run gave beside the first.

    Attributes:
        reproduced: the data and the backbone are the same, and so is every prediction for the test examples and the
            first metric; without test examples, every bit of the weights.
        model_dir: of the first run.
        differences: rows of `what`, `before` and `after`, of whatever is not the same.
        bit_identical: every weight is. max_weight_difference: the largest difference of one, None where their names
            or shapes differ.
        test_examples: how many predictions were compared. changed_predictions: how many of them are others.
        max_score_difference: of how sure the two are of a prediction.
        metrics: of the second run. looks: how often the test examples of the first were looked at.
    """

    reproduced: bool
    model_dir: str
    differences: list[dict[str, Any]]
    bit_identical: bool
    max_weight_difference: float | None
    test_examples: int
    changed_predictions: int
    max_score_difference: float
    metrics: dict[str, float] | None = field(repr=False)
    looks: int = 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def reproduce(
    model_dir: str | Path, data: Any = None, *, output_dir: str | Path | None = None, listener: Listener = ignore
) -> Reproduction:
    """Run again what made a model and say whether the same comes out.

    The second run has the first one's recipe and number of threads, and computes all features anew. The baselines
    stop by the clock; they are left out.

    Args:
        data: where the data are now; by default where they were.
        output_dir: where the second model is kept; by default it is not.

    Raises:
        ModelError: the folder holds no record of a run. DataError: the data are gone.
    """
    model = load(model_dir, device="cpu")
    first = model.record
    if first is None:
        raise ModelError(f"`{model_dir}` holds no record of a run", "give a folder that `headstart fit` wrote")
    path = trained_data(model) if data is None else data_path(data)
    with ExitStack() as stack:
        place = output_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headstart-"))) / "model"
        stack.enter_context(_threads(first.environment.get("threads")))
        second = fit(path, recipe=_recipe(first), output_dir=place, listener=listener)
        return _compared(model, second, str(model_dir), listener)


def _recipe(record: Record) -> Recipe:
    recipe = Recipe.from_dict(record.recipe).replace(baselines=False, cache=False)
    here = record.data.get("backbone_path")
    return recipe.replace(backbone=here) if here else recipe


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """Compute in as many threads as the first run: another number gives other last bits."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        with threadpool_limits(limits=number or before):
            yield
    finally:
        torch.set_num_threads(before)


def _compared(model: Model, again: Model, model_dir: str, listener: Listener) -> Reproduction:
    first, second = model.record, again.record
    if first is None or second is None or model.folder is None or again.folder is None:
        raise ModelError("a run left no record", "run the same command again")
    weights = _largest_difference(model.folder, again.folder)
    before, after = ({one.name: one for one in record.judged} for record in (first, second))
    both = before.keys() & after.keys()
    changed = sum(before[name].predicted != after[name].predicted for name in both) + len(before.keys() ^ after.keys())
    scores = [abs(before[name].weight - after[name].weight) for name in both]
    decisive = [*_facts_that_differ(first, second), *_metric_that_differs(first, second)]
    same = not decisive and not changed and (bool(before) or weights == 0)
    return Reproduction(
        reproduced=same, model_dir=model_dir, differences=[*decisive, *_environment_that_differs(first, second)],
        bit_identical=weights == 0, max_weight_difference=weights, test_examples=len(before),
        changed_predictions=changed, max_score_difference=max(scores, default=0.0), metrics=second.metrics,
        looks=count(model, first.data.get("tested_on", ()), by="reproduce", listener=listener),
    )  # fmt: skip


def _facts_that_differ(first: Record, second: Record) -> list[dict[str, Any]]:
    """Return what decides a model and is not the same: data, backbone, and what `auto` has chosen."""
    return _rows(
        ("data", first.data.get("fingerprint"), second.data.get("fingerprint")),
        ("weights of the backbone", *(record.backbone_facts.get("fingerprint") for record in (first, second))),
        *((name, getattr(first, name), getattr(second, name)) for name in _CHOSEN),
    )


def _metric_that_differs(first: Record, second: Record) -> list[dict[str, Any]]:
    name = first.first_metric
    return _rows((name, *((record.metrics or {}).get(name) for record in (first, second))))


def _environment_that_differs(first: Record, second: Record) -> list[dict[str, Any]]:
    """Return what may change last bits: versions, threads, instruction set."""
    names = list(first.environment | second.environment)
    return _rows(*((name, first.environment.get(name), second.environment.get(name)) for name in names))


def _rows(*found: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [{"what": what, "before": a, "after": b} for what, a, b in found if a != b]


def _largest_difference(first: Path, second: Path) -> float | None:
    """Return the largest difference between two weights of the same name, None where names or shapes differ."""
    import torch
    from safetensors.torch import load_file

    a, b = (load_file(folder / "model.safetensors") for folder in (first, second))
    if {name: tensor.shape for name, tensor in a.items()} != {name: tensor.shape for name, tensor in b.items()}:
        return None
    return max(
        0.0 if torch.equal(tensor, b[name]) else float((tensor.double() - b[name].double()).abs().max())
        for name, tensor in a.items()
    )
