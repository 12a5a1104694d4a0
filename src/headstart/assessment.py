"""Judge models that are there on labelled data: one of them, or two against each other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.dataset import Dataset, open_dataset
from headstart.data.objects import data_path
from headstart.errors import DataError, MachineError, ModelError
from headstart.evaluation.looks import count_look
from headstart.evaluation.paired import difference_of
from headstart.events import Listener, Note, ignore
from headstart.model import Model
from headstart.record import Table
from headstart.reporting.report import say_looks
from headstart.training.loop import stacked
from headstart.types import Example, Skipped, groups_of


def evaluate(
    model: Model,
    data: Any,
    *,
    text_column: str = "text",
    text_pair_column: str = "text_pair",
    label_column: str = "label",
    group_column: str = "group",
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Return `metrics`, the number of `examples` and `looks` of a model on labelled data that it has not learnt from.

    Where the data have splits of their own, the test split counts. Examples that the model was trained on are
    recognised by their content and left out. How often these examples were looked at with this model is counted in
    its folder: `looks` is 1 the first time.

    Raises:
        DataError: a class is unknown to the model, or no example is left that could be judged.
    """
    columns = {
        "text_column": text_column, "text_pair_column": text_pair_column, "label_column": label_column,
        "group_column": group_column,
    }  # fmt: skip
    dataset, examples = _to_judge(data, [model], columns, listener)
    rows = _logits(model, examples, listener)
    judged = _readable(dataset, examples, [rows])
    metrics = _metrics(model, judged, rows)
    return {"metrics": metrics, "examples": len(judged), "looks": _looks(model, dataset, judged, "evaluate", listener)}


def compare(
    a: Model,
    b: Model,
    data: Any = None,
    *,
    text_column: str = "text",
    text_pair_column: str = "text_pair",
    label_column: str = "label",
    group_column: str = "group",
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Say whether two models differ on labelled data that neither has learnt from, judged on the same examples.

    Args:
        data: as for `evaluate`; by default those that `a` was adapted to.

    Returns:
        `metric`, the metrics of `a` and `b`, the `difference` of `a` to `b` with `ci_low`, `ci_high` and `p_value`
        (see `headstart.evaluation.paired`), `per_class` with the F1 of both, the number of `examples`, how many were
        `left_out`, and `looks`, how often each model was judged on them.

    Raises:
        ModelError: the models do not answer the same question. DataError: as `evaluate`.
    """
    _require_alike(a, b)
    columns = {
        "text_column": text_column, "text_pair_column": text_pair_column, "label_column": label_column,
        "group_column": group_column,
    }  # fmt: skip
    dataset, examples = _to_judge(trained_data(a) if data is None else data, [a, b], columns, listener)
    rows = _logits(a, examples, listener), _logits(b, examples, listener)
    judged = _readable(dataset, examples, rows)
    outcomes = [
        model.task.outcomes(_stacked(judged, one), model.task.encode(judged))
        for model, one in zip((a, b), rows, strict=True)
    ]
    difference = asdict(difference_of(a.task.score, *outcomes, groups=groups_of(judged)))
    of = difference.pop("examples")
    return {
        "metric": f"eval_{a.task.metric}", "examples": of, "left_out": len(dataset.examples) - of,
        "a": _metrics(a, judged, rows[0]), "b": _metrics(b, judged, rows[1]), "difference": difference.pop("estimate"),
        **difference, "per_class": _per_class((a, b), judged, rows),
        "looks": {name: _looks(one, dataset, judged, "compare", listener) for name, one in (("a", a), ("b", b))},
    }  # fmt: skip


def tell(dataset: Dataset, unreadable: Sequence[Skipped], listener: Listener) -> None:
    """Say what the user must know of the data: notes, each input that was left out, and how many those are."""
    for note in dataset.notes:
        listener(Note(note))
    skipped = (*dataset.skipped, *unreadable)
    for one in skipped:
        listener(Note(f"skipped {one.name}: it {one.error}"))
    if skipped:
        listener(Note(f"{len(skipped)} of {len(dataset.examples) + len(dataset.skipped)} inputs were left out"))


def count(model: Model, hashes: Sequence[str], *, by: str, listener: Listener = ignore) -> int:
    """Count that a model was judged on examples with these contents, let its report say so, and return how often."""
    if model.folder is None or (record := model.record) is None:  # such as one that a hub gave
        return 1
    looks = count_look(model.folder, hashes, by=by, tested_on=record.data.get("tested_on", ()), listener=listener)
    if looks.looks[-1].of_test:
        with suppress(MachineError):  # whoever may not write here was told so when the look was counted
            say_looks(model.folder, [(look.at, look.by) for look in looks.at_test])
    return looks.times(hashes)


def trained_data(model: Model) -> Path:
    """Return where the data lie that a model was adapted to.

    Raises:
        DataError: its folder does not say, or they are no longer there.
    """
    known = model.record.data.get("path") if model.record else None
    if not known or not Path(known).exists():
        said = f"the data `{known}` that the model was adapted to are gone" if known else "the model names no data"
        raise DataError(said, "give the data as well")
    return Path(known)


def _require_alike(a: Model, b: Model) -> None:
    """Refuse to compare answers to different questions."""
    if a.task.full_name != b.task.full_name:
        raise ModelError(
            f"a model for `{a.task.full_name}` and one for `{b.task.full_name}` cannot be compared",
            "give two models for the same task",
        )
    if odd := sorted(set(a.labels) ^ set(b.labels)):
        raise ModelError(
            f"only one of the models knows the class `{odd[0]}`"
            + (f", and so with {len(odd) - 1} more" if odd[1:] else ""),
            "give two models with the same classes",
        )


def _to_judge(
    data: Any, models: Sequence[Model], columns: Mapping[str, Any], listener: Listener
) -> tuple[Dataset, list[Example]]:
    """Read labelled data, and return those of their examples that a score may be taken on."""
    form, kind = models[0].task.form, models[0].kind
    dataset = open_dataset(data_path(data), kind=kind, forms=[form], to_learn=False, **columns)
    tell(dataset, (), listener)
    examples = _unseen(dataset, models, listener)
    known = models[0].labels
    unknown = sorted({name for example in examples for name in form.classes(example.target)} - set(known))
    if unknown:
        raise DataError(f"the model does not know the class `{unknown[0]}`", "it knows: " + ", ".join(known))
    return dataset, examples


def _unseen(dataset: Dataset, models: Sequence[Model], listener: Listener) -> list[Example]:
    examples = (dataset.own_splits and dataset.split("test")) or dataset.examples
    learnt = {one for model in models if model.record for one in model.record.data.get("trained_on", ())}
    unseen = [example for example in examples if dataset.hashes[example.name] not in learnt]
    who = "the model was" if len(models) == 1 else "one of the models was"
    if len(unseen) < len(examples):
        listener(Note(f"{len(examples) - len(unseen)} examples were left out: {who} trained on them"))
    if not unseen:
        raise DataError(f"{who} trained on all of `{dataset.source}`", "give labelled data that it has not seen")
    return unseen


def _logits(model: Model, examples: Sequence[Example], listener: Listener) -> dict[str, np.ndarray]:
    """Return the outputs for each example that can be read, by its name."""
    found = {}
    for example, row in model.logits_of(examples, listener=listener):
        if isinstance(row, Skipped):
            listener(Note(f"skipped {example.name}: it {row.error}"))
        else:
            found[example.name] = row
    return found


def _readable(dataset: Dataset, examples: Sequence[Example], rows: Sequence[Mapping[str, np.ndarray]]) -> list[Example]:
    judged = [example for example in examples if all(example.name in one for one in rows)]
    if not judged:
        raise DataError(f"no example of `{dataset.source}` can be read", "run `headstart predict` on one to see why")
    return judged


def _stacked(judged: Sequence[Example], rows: Mapping[str, np.ndarray]) -> np.ndarray:
    return stacked([rows[example.name][None] for example in judged])


def _metrics(model: Model, judged: Sequence[Example], rows: Mapping[str, np.ndarray]) -> dict[str, float]:
    return model.task.metrics(_stacked(judged, rows), model.task.encode(judged), groups=groups_of(judged))


def _per_class(
    models: Sequence[Model], judged: Sequence[Example], rows: Sequence[Mapping[str, np.ndarray]]
) -> list[dict[str, Any]]:
    """Return the F1 of both models for each class, those that differ most first."""
    a, b = (_f1_by_class(model, judged, one) for model, one in zip(models, rows, strict=True))
    found = [
        {"label": label, "a": a.get(label, (0.0, 0))[0], "b": b.get(label, (0.0, 0))[0], "examples": of}
        for label, of in {**{k: n for k, (_, n) in b.items()}, **{k: n for k, (_, n) in a.items()}}.items()
    ]
    return sorted(found, key=lambda one: -abs(one["a"] - one["b"]))


def _f1_by_class(
    model: Model, judged: Sequence[Example], rows: Mapping[str, np.ndarray]
) -> dict[str, tuple[float, int]]:
    """Return F1 and number of examples by class, out of the table that a report has of them; none where it has none."""
    sections = model.task.sections(_stacked(judged, rows), model.task.encode(judged))
    table = next((one for one in sections if isinstance(one, Table) and "F1" in one.columns), None)
    if table is None:
        return {}
    column = table.columns.index("F1")
    return {re.sub(r" \(from [\d.]+\)$", "", row[0]): (row[column], row[-1]) for row in table.rows}


def _looks(model: Model, dataset: Dataset, judged: Sequence[Example], by: str, listener: Listener) -> int:
    """Count one more look at these examples, and return how many there were."""
    return count(model, [dataset.hashes[example.name] for example in judged], by=by, listener=listener)
