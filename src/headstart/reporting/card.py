"""The model card: `README.md` with the metadata that model hubs read, and the same facts in prose."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.durable import write_durably
from headstart.record import Control, Record
from headstart.reporting import certainty, conclusions, wording

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

FILE_NAME = "README.md"
LISTED_CLASSES = 50
# The hub's names of licences are SPDX names in lower case; what it does not know is `other` with a name.
HUB_LICENCES = {
    "apache-2.0",
    "mit",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nc-4.0",
    "gpl-3.0",
    "agpl-3.0",
    "mpl-2.0",
    "unlicense",
}


def write_card(record: Record, folder: Path, *, usage: str = "") -> Path:
    """Write `README.md` into `folder` and return its path.

    It names no example and no folder of this machine: what leads to people stays in the report.

    Args:
        usage: Markdown that shows how else the model is used, such as a transformers snippet.

    Raises:
        NoSpace, MachineError: the file cannot be written; nothing is left behind.

    Mitchell, M. et al. (2019). Model cards for model reporting. arXiv:1810.03993.
    """
    path = folder / FILE_NAME
    write_durably(path, render(record, usage=usage).encode("utf-8", "replace"))
    return path


def render(record: Record, *, usage: str = "") -> str:
    """Return the card as Markdown after its metadata; every text of the user's is escaped."""
    from huggingface_hub import ModelCardData

    name = f"{_plain(record.backbone)} adapted to {_dataset_name(record)}"
    results = evaluation(record)
    licence, licence_name = _licence(record)
    data = ModelCardData(
        language=None,
        license=licence,
        license_name=licence_name,
        library_name="transformers",
        pipeline_tag=record.pipeline or record.task,
        tags=["headstart", record.task],
        base_model=wording.hub_id(record),
        model_name=name if results else None,
        eval_results=results or None,
    )
    sections = [
        f"# {_escaped(name)}",
        _what(record),
        f"## How good it is\n\n{_how_good(record)}",
        f"## How it was made\n\n{_how_made(record)}",
        f"## How to use it\n\n{_how_used(record, usage)}",
        f"## Limits\n\n{_limits(record)}",
    ]
    return f"---\n{data.to_yaml().strip()}\n---\n\n" + "\n\n".join(sections) + "\n"


def evaluation(record: Record) -> list[EvalResult]:
    """Return all test metrics with their intervals in the form of a model index."""
    from huggingface_hub import EvalResult

    metrics = record.metrics or {}
    found = {name: wording.find(metrics, name) for name in metrics if "_ci_" not in name}
    return [
        EvalResult(
            task_type=record.task,
            dataset_type="private",
            dataset_name=_dataset_name(record),
            dataset_split="cross-validation" if record.folds.get("judged") else "test",
            metric_type=name.removeprefix("eval_"),
            metric_name=wording.metric_name(name),
            metric_value=round(value, 4),
            metric_args=_interval_facts(metrics, name),
        )
        for name, value in found.items()
        if value is not None
    ]


def _interval_facts(metrics: dict[str, float], name: str) -> dict[str, Any] | None:
    low, high = (wording.find(metrics, f"{name}_{end}") for end in ("ci_low", "ci_high"))
    if low is None or high is None:
        return None
    return {"confidence": 0.95, "ci_low": round(low, 4), "ci_high": round(high, 4)}


def _licence(record: Record) -> tuple[str, str | None]:
    """Return the licence of the weights, which the adapted model inherits, as the hub names it."""
    name = str(record.backbone_facts.get("licence") or "unknown")
    return (name.lower(), None) if name.lower() in HUB_LICENCES else ("other", wording.excerpt(name))


def _what(record: Record) -> str:
    labels = ", ".join(_escaped(label) for label in record.labels[:LISTED_CLASSES])
    more = len(record.labels) - LISTED_CLASSES
    rest = f" and {more} more" if more > 0 else ""
    classes = f" with {len(record.labels)} classes: {labels}{rest}" if record.labels else ""
    return (
        f"A model for {record.task.replace('-', ' ')}{classes}. "
        f"Headstart adapted it from the pre-trained `{_plain(record.backbone)}`."
    )


def _how_good(record: Record) -> str:
    headline, own = escape(wording.headline(record), quote=False), wording.test_control(record)
    if own is None:
        return f"{headline}\n\n{wording.comparison(record)}"
    if verdict := conclusions.verdict(record):
        headline = f"{headline}\n\n{verdict}"
    rows = [("Adapted model", own)]
    rows += [(wording.baseline_name(name), control) for name, control in wording.known(record)]
    lines = [f"| Model | {wording.metric_name(record.first_metric).capitalize()} | 95 % interval | |"]
    lines += ["|---|--:|--:|---|", *(_row(name, control, record.first_metric) for name, control in rows)]
    sure = (
        [certainty.calibration(record), certainty.abstention(record)] if certainty.states_probabilities(record) else []
    )
    return "\n\n".join(part for part in (headline, "\n".join(lines), " ".join(sure)) if part)


def _row(name: str, control: Control, metric: str) -> str:
    remark = "not converged" if control.converged is False else ""
    shown = wording.score(control.score, metric), wording.interval(control, metric)
    return f"| {_escaped(name)} | {shown[0]} | {shown[1]} | {remark} |"


def _how_made(record: Record) -> str:
    facts = record.backbone_facts
    origin = wording.excerpt(wording.without_folders(str(facts.get("origin") or "unknown")), 200)
    weights = f"Its weights: {_escaped(origin)}; licence {_escaped(facts.get('licence') or 'unknown')}."
    examples = f"It learnt from {_learnt_from(record)}."
    time = f"In all this took {wording.duration(record.seconds['total'])}." if "total" in record.seconds else ""
    recipe = "The recipe lies beside this card."
    facts_told = " ".join(part for part in (examples, time, recipe, weights) if part)
    return f"{escape(wording.cut(record), quote=False)}\n\n{facts_told}"


def _learnt_from(record: Record) -> str:
    """Return how many examples; a head alone is solved on the validation split too, once that has done its work."""
    trained = record.sizes.get("train", sum(record.counts.get("train", {}).values()))
    validation = record.sizes.get("validation", 0)
    if record.freeze < record.keep or not validation:
        return f"{trained:,} {wording.PLURALS[record.kind]}"
    both = f"{trained + validation:,} {wording.PLURALS[record.kind]}"
    return f"{both}, {validation:,} of which had first chosen how closely it fits the others"


def _how_used(record: Record, usage: str) -> str:
    given = '"a text"' if record.kind == "text" else f'"{_FILES[record.kind]}"'
    lines = (
        "import headstart",
        "",
        'model = headstart.load("path/to/this/folder")',
        f"model.predict([{given}])",
    )
    own = "\n".join(("```python", *lines, "```"))
    return f"{own}\n\n{usage.strip()}" if usage.strip() else own


_FILES = {"image": "photo.jpg", "audio": "recording.wav", "video": "video.mp4"}


def _limits(record: Record) -> str:
    plural = wording.PLURALS[record.kind]
    limits = [
        "Whatever it is given, it answers; it does not say that an input is of another kind altogether.",
        f"The score holds for {plural} like those it was tested on; others may be harder.",
        "It inherits what its pre-trained weights have learnt, with their gaps and biases.",
    ]
    if record.metrics is None:
        limits[1] = "It was never tested on examples kept apart from training."
    if record.kind == "text" and record.shortened:
        limits.append("Of long texts only the beginning is read.")
    return "\n".join(f"- {limit}" for limit in limits)


def _dataset_name(record: Record) -> str:
    return _plain(record.data.get("source") or "unnamed data")


def _plain(text: Any) -> str:
    """Return a name without folders, on one line, without characters that Markdown or YAML act on."""
    return re.sub(r"[`<>|]", "", wording.excerpt(wording.without_folders(str(text))))


def _escaped(text: Any) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", escape(wording.excerpt(text, 200), quote=False))
