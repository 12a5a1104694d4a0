"""What a ranking consists of: candidates, how each was measured, and what is recommended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any, NamedTuple

_Z = NormalDist().inv_cdf(0.975)  # standard errors from the middle to the end of a 95 % interval


class Cut(NamedTuple):
    """Which backbone is cut where, and what reads it."""

    backbone: str
    keep: int
    freeze: int
    head: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to adapt a backbone, with its score on examples that it had not seen.

    Attributes:
        keep, freeze, head: the cut, and what reads after it.
        score: the task's first metric out of fold, with the ends of its 95 % interval.
        seconds: what measuring took. bytes: what is kept on disk of these features.
        confirmed: a head, and the blocks above the cut where there are some, were really trained.
        measures: the scores that cost no training, by name.
        trained: how many weights an adapted model of this kind trains. epochs: of the blocks above the cut.
    """

    backbone: str
    keep: int
    freeze: int
    head: str
    score: float
    ci_low: float
    ci_high: float
    seconds: float
    bytes: int
    confirmed: bool = False
    measures: Mapping[str, float | None] = field(default_factory=dict)
    trained: int = 0
    epochs: int = 0

    @property
    def cut(self) -> Cut:
        return Cut(self.backbone, self.keep, self.freeze, self.head)

    @property
    def standard_error(self) -> float:
        return (self.ci_high - self.ci_low) / (2 * _Z)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, the recommended one first, then by score.

    Attributes:
        candidates: all that were measured. metric: what their scores are.
        orders: the backbones as three rules order them: largest first, published accuracy first, as measured.
        left_out: the reason by backbone. examples: how many were measured on, of `available`.
        seconds: in all. notes: what the user must know.
    """

    candidates: tuple[Candidate, ...]
    metric: str
    orders: Mapping[str, list[str]]
    left_out: Mapping[str, str]
    examples: int
    available: int
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def recommended(self) -> Candidate:
        return self.candidates[0]

    def to_json(self) -> dict[str, Any]:
        """Return plain values under the names that programs rely on."""
        return {
            "ranking": [asdict(candidate) for candidate in self.candidates],
            "orders": {name: list(order) for name, order in self.orders.items()},
            "left_out": dict(self.left_out),
            "metric": self.metric,
            "examples": self.examples,
            "seconds": self.seconds,
        }


def recommend(candidates: Sequence[Candidate]) -> Candidate:
    """Return the one that trains fewest weights among those within a standard error of the best.

    What was confirmed by training comes before what was not. Breiman, L., Friedman, J., Olshen, R. & Stone, C.
    (1984). Classification and regression trees, section 3.4: the one-standard-error rule.
    """
    known = [one for one in candidates if one.confirmed] or list(candidates)
    best = max(known, key=lambda one: one.score)
    near = [one for one in known if one.score >= best.score - best.standard_error]
    return min(near, key=lambda one: (one.trained, one.keep, -one.score))


def in_order(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the recommended candidate, then the confirmed ones by score, then the rest by score."""
    first = recommend(candidates)
    rest = sorted(
        (one for one in candidates if one is not first), key=lambda one: (one.confirmed, one.score), reverse=True
    )
    return (first, *rest)


def backbones_by(candidates: Sequence[Candidate], key: Callable[[Candidate], float]) -> list[str]:
    """Return the names of the backbones by the best value that any of their candidates has."""
    best: dict[str, float] = {}
    for one in candidates:
        best[one.backbone] = max(best.get(one.backbone, float("-inf")), key(one))
    return sorted(best, key=lambda name: -best[name])
