"""What follows from a run's comparisons, in a sentence or two, and how often its test was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import Any

from headstart.record import Record
from headstart.reporting import wording
from headstart.reporting.wording import NO_BREAK

LISTED_LOOKS = 5
LISTED_PROBLEMS = 3
_RIVALS = {
    "simple": "a simple model without pre-training",
    "from_scratch": "the same network trained from scratch",
    "from_scratch_converged": "the same network trained from scratch",
}
_SAID = {
    "pretraining-helped": "Pre-training helped",
    "no-difference": "Pre-training made no difference beyond noise",
    "simple-model-enough": "A simple model is enough here",
}


def verdict(record: Record) -> str:
    """Return whether pre-training gained anything, and by how much; empty where it was compared with nothing."""
    found = record.verdict
    if found is None:
        return ""
    names = ["simple"] if found.key == "simple-model-enough" else list(found.differences)
    gaps = wording.listed([_gap(record, name, found.differences[name]) for name in names])
    unit = "" if wording.in_percent(record.first_metric) else f"in {wording.metric_name(record.first_metric)} "
    if not found.needed:
        return f"{_SAID[found.key]}: {unit}on the same test examples the adapted model is {gaps}."
    amount = f"{100 * found.matters:.0f} points" if wording.in_percent(record.first_metric) else f"{found.matters:g}"
    return (
        "There are too few test examples to tell whether pre-training helped: at least "
        f"{_rounded(found.needed):,} are needed to see a difference of {amount}, and there are "
        f"{record.test_examples:,}. On these, {unit}the adapted model is {gaps}."
    )


def comparison(found: Mapping[str, Any]) -> str:
    """Return what a comparison of two models says, from the object that `headstart.compare` returns."""
    metric, p_value = found["metric"], found["p_value"]
    amount, ends = difference(found["difference"], found["ci_low"], found["ci_high"], metric)
    told = f"95{NO_BREAK}% interval {ends}, p {'below 0.001' if p_value < 0.001 else f'= {p_value:.2g}'}"
    if found["ci_low"] <= 0 <= found["ci_high"]:
        return f"No difference beyond noise: in {wording.metric_name(metric)} A is {amount} than B ({told})."
    return f"They differ: in {wording.metric_name(metric)} A is {amount} than B ({told})."


def difference(estimate: float, low: float, high: float, metric: str) -> tuple[str, str]:
    """Return how much better one model is, as in `5 points better`, and the interval of that, as in `1 to 9`."""
    shown, *ends = (_amount(value, metric) for value in (abs(estimate), low, high))
    unit = f" point{'' if shown == '1' else 's'}" if wording.in_percent(metric) else ""
    amount = "no better" if float(shown) == 0 else f"{shown}{unit} {'better' if estimate > 0 else 'worse'}"
    return amount, f"{ends[0]} to {ends[1]}"


def looks(times: Sequence[tuple[str, str]]) -> str:
    """Return how often the test examples were looked at, and when.

    Args:
        times: of each look, the time in UTC as ISO 8601, and the command.
    """
    if len(times) == 1:
        return f"The test examples were read once, {_when(times[0][0])}, after everything was chosen."
    shown = wording.listed([f"{_when(at)} by {by}" for at, by in times[-LISTED_LOOKS:]])
    last = "the last of them " if len(times) > LISTED_LOOKS else ""
    return (
        f"The test examples have been looked at {len(times):,} times, {last}{shown}. "
        "What is changed after a look makes the next score say less."
    )


def data(record: Record) -> str:
    """Return what is wrong with the data, and how much of the score that may touch; empty where nothing was found."""
    if not record.problems:
        return ""
    named = [f"{one['kind'].replace('-', ' ')} ({one['count']:,})" for one in record.problems[:LISTED_PROBLEMS]]
    rest = len(record.problems) - LISTED_PROBLEMS
    more = [f"{rest} more kind{'' if rest == 1 else 's'} of problems"] if rest > 0 else []
    found = f"Found in the data: {wording.listed([*named, *more])}; the command headstart check shows them."
    share = record.duplicates_across_splits.get("test_share")
    if not share:
        return found
    return (
        f"{wording.percent(share)} of the test examples are also in another split, or nearly: the score may be too "
        f"good by what was learnt by heart. {found}"
    )


def _gap(record: Record, name: str, found: Mapping[str, float]) -> str:
    control, metric = record.baselines.get(name), record.first_metric
    amount, ends = difference(found["estimate"], found["ci_low"], found["ci_high"], metric)
    unfinished = ", not converged" if control is not None and control.converged is False else ""
    return f"{amount} than {_RIVALS[name]} (95{NO_BREAK}% interval {ends}{unfinished})"


def _rounded(count: int) -> int:
    """Return a number of examples that is an estimate, rounded up to two digits."""
    places = 10 ** max(0, len(str(count)) - 2)
    return ceil(count / places) * places


def _amount(value: float, metric: str) -> str:
    """Return a difference in points of a share, or in the metric's own measure; never `-0`."""
    places = 0 if wording.in_percent(metric) else 2
    shown = round(100 * value if wording.in_percent(metric) else value, places)
    return f"{shown + 0.0:.{places}f}"


def _when(at: str) -> str:
    time = datetime.fromisoformat(at)
    return f"on {time.day} {time:%B %Y at %H:%M} UTC"
