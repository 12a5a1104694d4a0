"""What `fit` says when it is done, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.record import REPORT_FILE, Judged, Record
from headstart.reporting import conclusions, wording
from headstart.types import Kind

BASELINES = ("majority", "simple", "linear_probe", "from_scratch", "from_scratch_converged")
SHOWN = 3


def summary_json(record: Record, model_dir: Path) -> dict[str, Any]:
    """Return the object of `fit --json`; what was switched off or does not exist yet is None."""
    scores = {name: control and control.score for name, control in record.baselines.items()}
    return {
        "model_dir": str(model_dir),
        "task": record.task,
        "backbone": record.backbone,
        "blocks": record.blocks,
        "keep": record.keep,
        "freeze": record.freeze,
        "head": record.head,
        "labels": list(record.labels),
        "metrics": record.metrics,
        "test_examples": record.test_examples,
        "baselines": {name: scores.get(name) for name in BASELINES},
        "seconds": record.seconds,
        "cache": record.cache,
        "engine": record.engine,
        "max_abs_difference": record.max_abs_difference,
        "verdict": record.verdict.key if record.verdict else None,
        "calibration": _calibration(record),
        "resumed_from": record.resumed_from,
        "folds": record.folds or None,
    }


def _calibration(record: Record) -> dict[str, float | None] | None:
    found = record.calibration
    if found is None:
        return None
    return {"ece_before": found.ece_before, "ece_after": found.ece_after, "temperature": found.temperature}


def summary_lines(record: Record, model_dir: Path) -> Iterator[str]:
    """Yield what was kept and frozen, the time, the scores, a few examples, and where everything lies."""
    yield f"{record.task} with {record.backbone}"
    yield wording.cut(record)
    yield wording.engine(record)
    yield wording.saved(record)
    yield _times(record)
    yield ""
    yield wording.headline(record)
    yield from _scores(record)
    if verdict := conclusions.verdict(record):
        yield verdict
    if problems := conclusions.data(record):
        yield problems
    yield from _judged("right", [one for one in record.judged if one.right], record.kind)
    wrong = [one for one in record.judged if not one.right]
    yield from _judged("furthest off" if any(one.error for one in wrong) else "wrong", wrong, record.kind)
    yield ""
    yield f"model   {model_dir}"
    yield f"report  {model_dir / REPORT_FILE}"


def _times(record: Record) -> str:
    parts = ", ".join(
        f"{wording.SECONDS.get(name, name).lower()} {wording.duration(seconds)}"
        for name, seconds in record.seconds.items()
        if name != "total"
    )
    return f"It took {wording.duration(record.seconds['total'])}: {parts}."


def _scores(record: Record) -> Iterator[str]:
    """Yield a row for the adapted model and one for each baseline, on the task's first metric."""
    ours = wording.test_control(record)
    if ours is None:
        yield wording.comparison(record)
        return
    rows = {"Adapted model": ours}
    rows |= {wording.baseline_name(name): one for name, one in record.baselines.items() if one}
    for name, control in rows.items():
        score = wording.score(control.score, record.first_metric)
        interval = wording.interval(control, record.first_metric)
        unfinished = "  not converged" if control.converged is False else ""
        yield f"  {name:<26}{score:>6}  {interval}{unfinished}"
    if record.folds:
        yield f"  {wording.spread(record)}"
    if not wording.in_percent(record.first_metric):
        yield f"  {wording.others(record)}".rstrip()


def _judged(title: str, judged: list[Judged], kind: Kind) -> Iterator[str]:
    """Yield the few of which the model was surest, or which were furthest off: texts themselves, files by name."""
    surest = sorted(judged, key=lambda one: -one.weight)[:SHOWN]
    if not surest:
        return
    yield ""
    yield f"{title}, {len(judged):,} in all:"
    for one in surest:
        truth = "" if one.right else f", is {one.target}"
        said = f"{wording.excerpt(one.predicted)} {wording.certainty(one)}".rstrip()
        yield f"  {wording.excerpt(one.input if kind == 'text' else one.name, 60)}: {said}{truth}"
