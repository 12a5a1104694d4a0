"""How far a run's answers can be relied on, in sentences: probabilities, doubts, and what more data would do."""

from __future__ import annotations

from headstart.record import Point, Record
from headstart.reporting import wording
from headstart.reporting.conclusions import difference
from headstart.reporting.wording import NO_BREAK

_HELD_OUT = "examples outside the test that it had not learnt from"
_LITTLE = 0.02  # of a score, that doubling the examples would gain at most


def states_probabilities(record: Record) -> bool:
    """Say whether the task's answers have a certainty at all."""
    return record.calibration is not None or record.abstention is not None


def calibration(record: Record) -> str:
    """Return how well stated probabilities hold, before and after the temperature."""
    found = record.calibration
    if found is None:
        return "Its probabilities are as the training left them: there are too few examples to calibrate them on."
    if found.temperature == 1:
        fitted = f"On {_HELD_OUT}, its probabilities held within noise, so they are left as they are."
    else:
        fitted = (
            f"On {_HELD_OUT}, it was {'too' if found.temperature > 1 else 'not'} sure"
            f"{'' if found.temperature > 1 else ' enough'}, so the model divides all its logits by "
            f"{found.temperature:.2f}. No answer changes by that."
        )
    if found.ece_before is None or found.ece_after is None or found.ece_by_chance is None:
        return fitted
    before, after, chance = (_points(error) for error in (found.ece_before, found.ece_after, found.ece_by_chance))
    earlier = "" if found.temperature == 1 else f", before by {before}"
    return (
        f"{fitted} On the {_judged(record)} its probabilities are off by {after} points on average{earlier}. "
        f"Probabilities that hold exactly would seem off by up to {chance} on as few."
    )


def abstention(record: Record) -> str:
    """Return from which certainty on answers count, how many those are, and how many of them are right."""
    found = record.abstention
    if found is None:
        return ""
    if found.threshold is None or found.answered is None or found.wanted is None:
        return (
            f"No answer is marked as unsure: on {_HELD_OUT}, too few answers were wrong, or certainty did not tell "
            "them from the right ones."
        )
    chosen = (
        f"An answer that is less than {wording.percent(found.threshold)} sure is marked as unsure. On {_HELD_OUT}, "
        f"{wording.percent(found.wanted)} of the other answers were right."
    )
    if found.right is None:
        return f"{chosen} None of the {_judged(record)} reaches that."
    same = " They are the examples that it was chosen on." if record.folds.get("judged") else ""
    return (
        f"{chosen} Of the {_judged(record)}, {_share(found.answered)} are at least as sure, and of these "
        f"{_share(found.right)} are right; of all, {wording.percent(found.curve[-1].score)}.{same}"
    )


def growth(record: Record) -> str:
    """Return whether the score still rises with the number of training examples."""
    found = record.growth
    if found is None or found.gain is None or len(found.points) < 2:
        reason = found.missing if found else ""
        return f"That was not measured: {reason}." if reason else ""
    gain, metric = found.gain, record.first_metric
    amount, ends = difference(gain.score, gain.ci_low, gain.ci_high, metric)
    half, whole = (f"{point.place:,.0f}" for point in found.points[-2:])
    told = f"with {whole} examples a linear head is {amount} than with {half} (95{NO_BREAK}% interval {ends})"
    if gain.ci_low > 0:
        return f"More examples would help: {told}, and the score still rises beyond noise."
    if gain.ci_high <= _LITTLE:
        return f"More examples of this kind would gain little: {told}."
    return f"These are too few to tell: {told}."


def _judged(record: Record) -> str:
    return "judged examples" if record.folds.get("judged") else "test examples"


def _share(point: Point) -> str:
    return f"{wording.percent(point.score)} (95{NO_BREAK}% interval {wording.interval(point, 'eval_accuracy')})"


def _points(error: float) -> str:
    return f"{100 * error:.1f}"
