"""A record in plain words and rounded numbers, for the report and the model card alike."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from headstart.record import Control, Judged, Point, Record

NO_BREAK = "\N{NO-BREAK SPACE}"
PLURALS = {"text": "texts", "image": "photos", "audio": "recordings", "video": "videos"}
METRICS = {
    "eval_accuracy": "accuracy",
    "eval_f1_macro": "macro F1",
    "eval_f1_micro": "micro F1",
    "eval_r2": "R²",
    "eval_mae": "mean absolute error",
    "eval_loss": "loss",
}
BASELINES = {
    "majority": "Always the same answer",
    "simple": "Simple model",
    "linear_probe": "Linear probe",
    "from_scratch": "From scratch, equal time",
    "from_scratch_converged": "From scratch, longer",
}
_IN_A_SENTENCE = {
    "majority": "always giving the same answer",
    "simple": "a simple model without pre-training",
    "linear_probe": "a linear probe of the backbone",
    "from_scratch": "the same network trained from scratch in equal time",
    "from_scratch_converged": "the same network trained from scratch until it stopped improving",
}
ENGINES = {"torch": "PyTorch", "openvino": "OpenVINO", "onnx": "ONNX Runtime"}
SECONDS = {
    "prepare": "Reading and preparing",
    "frozen_pass": "Frozen pass",
    "train": "Training",
    "evaluate": "Evaluation",
    "total": "In all",
}
_PERCENT_METRICS = {"eval_accuracy"}
_BOUNDED = {"eval_f1_macro", "eval_f1_micro", "eval_r2"}  # by 1, so that a third digit says nothing


def headline(record: Record) -> str:
    """Return the result in one sentence, with its interval."""
    if record.metrics is None:
        reason = excerpt(record.metrics_missing, 200).rstrip(".")
        return f"There were no test examples{reason and f': {reason}'}."
    if record.folds.get("judged"):
        return (
            f"On {_examples(record)}, each judged by a model that had not seen it, adaptation {_achieves(record)} "
            f"{_range(record)}."
        )
    return f"On {_examples(record)} it had never seen, the adapted model {_achieves(record)} {_range(record)}."


def others(record: Record) -> str:
    """Return the other metrics of the adapted model with their intervals."""
    found = []
    for name in record.metrics or {}:
        ends = [find(record.metrics or {}, f"{name}_ci_{end}") for end in ("low", "high")]
        value = find(record.metrics or {}, name)
        if name != record.first_metric and value is not None and None not in ends:
            low, high = (end for end in ends if end is not None)
            control = Control(value, low, high)
            found.append(f"{metric_name(name)} {score(value, name)} (95{NO_BREAK}% interval {interval(control, name)})")
    return f"Also measured: {listed(found)}." if found else ""


def spread(record: Record) -> str:
    """Return how much the folds of a cross-validation differ."""
    scores = record.folds.get("scores", [])
    if not scores:
        return ""
    low, high = (score(end, record.first_metric) for end in (min(scores), max(scores)))
    return f"In the {record.folds['count']} folds alone it went from {low} to {high}."


def seeds(record: Record) -> str:
    """Return how much training with several seeds differs."""
    low, high = (score(end, record.first_metric) for end in (min(record.seed_scores), max(record.seed_scores)))
    return (
        f"Trained with {len(record.seed_scores)} seeds, it scored from {low} to {high} on validation; the best is kept."
    )


def certainty(judged: Judged) -> str:
    """Return how sure a prediction was, or how far off."""
    if judged.error is not None:
        return f"off by {readable(judged.error)}"
    return "" if judged.score is None else percent(judged.score)


def comparison(record: Record) -> str:
    """Return what the baselines reached on the same examples; without a test split, what validation said."""
    if record.metrics is None:
        value = find(record.validation, record.first_metric)
        if value is None:
            return "Nothing is known of how the model does on examples that it was not trained on."
        shown = score(value, record.first_metric)
        return (
            f"On the validation split its {metric_name(record.first_metric)} is {shown}. That split chose "
            "among models, so expect less on new examples."
        )
    others = [
        f"{score(control.score, record.first_metric)} for {_IN_A_SENTENCE.get(name, baseline_name(name))}"
        for name, control in known(record)
    ]
    return f"On the same examples: {listed(others)}." if others else ""


def cut(record: Record) -> str:
    """Return what was frozen, trained and dropped."""
    sentences = [f"Of {record.blocks} blocks, {_lowest(record.freeze)} frozen."]
    if record.freeze:
        sentences[0] = f"{sentences[0][:-1]}: they stay as they were pre-trained, and each example crosses them once."
    thawed = record.keep - record.freeze
    trained = f"{_blocks(thawed)} above and the head" if thawed else "Only the head"
    sentences.append(f"{trained} ({excerpt(record.head)}) learnt from the training examples{_share(record)}.")
    if record.keep < record.blocks:
        sentences.append(f"The head reads after block {record.keep}; what lies above it was dropped.")
    return " ".join(sentences)


def engine(record: Record) -> str:
    """Return how the frozen part ran and how far that is from the uncut float32 network."""
    ran = f"The frozen part ran in {ENGINES.get(record.engine) or excerpt(record.engine)} ({excerpt(record.numerics)})."
    if not record.compared or not math.isfinite(record.max_abs_difference):
        return f"{ran} The difference to the uncut float32 network was not measured."
    difference = f"at most {record.max_abs_difference:.2g}" if record.max_abs_difference else "nothing at all"
    return (
        f"{ran} On {record.compared} examples the logits differ from those of the uncut float32 network "
        f"by {difference}."
    )


def saved(record: Record) -> str:
    """Return what the cache spared this run."""
    hits, computed, held = (record.cache.get(key, 0) for key in ("hits", "computed", "bytes"))
    found = f" {hits:,} examples were found in the cache from earlier runs." if hits else ""
    return (
        f"The frozen blocks ran {computed:,} times, once for each new example, and were spared "
        f"{record.passes_avoided:,} times. What they gave takes {size(held)} in the cache.{found}"
    )


def find(metrics: Mapping[str, float], name: str) -> float | None:
    """Return the metric called `name`, such as `eval_accuracy`, where it is a number, else None."""
    value = metrics.get(name)
    return value if value is not None and math.isfinite(value) else None


def test_control(record: Record) -> Control | None:
    """Return the adapted model's own test score in the form of a baseline."""
    value = find(record.metrics or {}, record.first_metric)
    if value is None:
        return None
    ends = [find(record.metrics or {}, f"{record.first_metric}_ci_{end}") for end in ("low", "high")]
    low, high = (value if end is None else end for end in ends)
    return Control(value, low, high, seconds=record.learning_seconds)


def known(record: Record) -> list[tuple[str, Control]]:
    """Return the baselines that were measured, the best first."""
    measured = [(name, control) for name, control in record.baselines.items() if control is not None]
    return sorted(measured, key=lambda item: -item[1].score)


def metric_name(name: str) -> str:
    return METRICS.get(name, name.removeprefix("eval_").replace("_", " "))


def baseline_name(name: str) -> str:
    return BASELINES.get(name) or excerpt(name.replace("_", " ").capitalize(), 40)


def in_percent(metric: str) -> bool:
    return metric in _PERCENT_METRICS


def score(value: float | None, metric: str) -> str:
    """Return a score as people write it: `87 %` or `0.87`."""
    if value is None or not math.isfinite(value):
        return "unknown"
    if metric in _BOUNDED:
        return f"{round(value, 2) + 0.0:.2f}"  # never `-0.00`
    return percent(value) if in_percent(metric) else readable(value)


def readable(value: float) -> str:
    """Return a number of any size: two places, none from a thousand on, three digits close to nothing."""
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3g}"
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:.3g}"


def interval(control: Control | Point, metric: str) -> str:
    """Return the ends of a score's interval: `81–92 %` or `0.81–0.92`."""
    low, high = score(control.ci_low, metric), score(control.ci_high, metric)
    between = " to " if "-" in low + high else "–"
    return f"{low.removesuffix(f'{NO_BREAK}%')}{between}{high}"


def percent(share: float) -> str:
    """Return whole per cent; close to 0 and 100 one decimal, so that only what is exact looks exact."""
    value = 100 * share
    if 1 <= value <= 99 or value in (0.0, 100.0):
        return f"{value:.0f}{NO_BREAK}%"
    return f"{min(max(value, 0.1), 99.9):.1f}{NO_BREAK}%"


def duration(seconds: float) -> str:
    """Return a time in at most two units."""
    if seconds < 10:
        return f"{seconds:.1f}{NO_BREAK}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours}{NO_BREAK}h {minutes_left}{NO_BREAK}min"
    return f"{minutes}{NO_BREAK}min {rest}{NO_BREAK}s" if minutes else f"{rest}{NO_BREAK}s"


def size(count: float) -> str:
    """Return a number of bytes in the unit that leaves one to three digits before the point."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f}{NO_BREAK}{unit}" if unit == "bytes" else f"{count:.1f}{NO_BREAK}{unit}"
        count /= 1000
    return f"{count:.1f}{NO_BREAK}GB"


def excerpt(text: Any, limit: int = 80) -> str:
    """Return `text` on one line, at most `limit` characters, without what steers a terminal or a page."""
    line = " ".join(str(text)[: 4 * limit].split())
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def without_folders(text: str) -> str:
    """Return the last name of an absolute path, which would tell of its owner; other texts as they are."""
    for path in (PurePosixPath(text), PureWindowsPath(text)):
        if path.is_absolute() or text.startswith("~"):
            return path.name or "folder"
    return text


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested facts as rows of name and text; empty ones are left out."""
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from flattened(value, f"{name} ")
        elif isinstance(value, list | tuple):
            yield from ((name, without_folders(str(one))) for one in value)
        elif value not in (None, ""):
            number = isinstance(value, int) and not isinstance(value, bool)
            yield name, f"{value:,}" if number else without_folders(str(value))


def hub_id(record: Record) -> str | None:
    """Return the backbone's id on the model hub, where it has the form of one and is no local folder."""
    is_id = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", record.backbone) and not Path(record.backbone).exists()
    return record.backbone if is_id else None


def _examples(record: Record) -> str:
    plural = PLURALS[record.kind]
    return f"{record.test_examples:,} {plural[:-1] if record.test_examples == 1 else plural}"


def _achieves(record: Record) -> str:
    value = score(find(record.metrics or {}, record.first_metric), record.first_metric)
    if record.first_metric == "eval_accuracy":
        return f"is right {value} of the time"
    return f"reaches {value} in {metric_name(record.first_metric)}"


def _range(record: Record) -> str:
    control = test_control(record)
    return f"(95{NO_BREAK}% interval {interval(control, record.first_metric)})" if control else ""


def listed(parts: list[str]) -> str:
    """Return parts of a sentence with commas between them and `and` before the last."""
    return " and ".join(([", ".join(parts[:-1])] if parts[1:] else []) + parts[-1:])


def _blocks(number: int) -> str:
    return f"{number} block{'' if number == 1 else 's'}"


def _lowest(number: int) -> str:
    if not number:
        return "none is"
    return "the lowest is" if number == 1 else f"the lower {number} are"


def _share(record: Record) -> str:
    trained, total = (record.backbone_facts.get(key) for key in ("trained_parameters", "parameters"))
    return f" ({trained:,} of {total:,} parameters)" if trained and total else ""
