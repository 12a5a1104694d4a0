"""Labels that are probably wrong, by confident learning on the backbone's vectors.

Each example is judged by a linear probe that has not learnt from it. An example is doubtful where another class
reaches, for it, the probability that examples of that class reach on average, or is more probable by half.

Northcutt, C., Jiang, L., Chuang, I. (2021). Confident learning: estimating uncertainty in dataset labels. JAIR 70.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from headstart.checking.checks.contract import Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence

LABEL_SUSPECTS = "label-suspects"
FOLDS = 5
FEWEST = 5  # examples of a class, of which one is judged by a probe that learnt from four
MOST = 20_000  # examples
SURPASSED = 0.5
WIDTH = 128  # principal components that the probe reads
_STRENGTH = 5.0  # of the fit, for all examples together: the more there are, the less each may pull


class LabelErrors(Check):
    name = "label-errors"
    kinds = ("text", "image", "audio")
    needs = "vectors"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        rows, labels = _labelled(evidence)
        classes, given = np.unique(labels, return_inverse=True)
        if len(classes) < 2 or evidence.vectors is None:
            return
        content = [evidence.dataset.hashes[evidence.embedded[row].name] for row in rows]
        probabilities = out_of_fold(evidence.vectors[rows], given, np.unique(content, return_inverse=True)[1])
        cases = [
            Case(
                (evidence.embedded[rows[place]].name,),
                f"labelled `{classes[given[place]]}`, looks like `{classes[other]}`",
                round(float(1 - probabilities[place, given[place]]), 4),
                str(classes[other]),
            )
            for place, other in suspects(probabilities, given).items()
        ]  # fmt: skip
        if cases:
            yield Problem(
                LABEL_SUSPECTS, "Labels that are probably wrong",
                "Look at them, the first ones first: some are errors, the others are hard examples.",
                Severity.LEARNING, tuple(sorted(cases, key=lambda case: (-case.score, case.names))),
            )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        wrong = next(label for label in evidence.dataset.labels if label != evidence.examples[0].target)
        evidence = evidence.changed(0, target=wrong)
        return replace(evidence, embedded=evidence.examples)


def _labelled(evidence: Evidence) -> tuple[list[int], list[str]]:
    """Return the rows of examples with one class, of which there are enough to learn it without one of them."""
    labels = [evidence.label(example) for example in evidence.embedded]
    counts = Counter(labels)
    rows = [row for row, label in enumerate(labels) if label is not None and counts[label] >= FEWEST][:MOST]
    return rows, [str(labels[row]) for row in rows]


def out_of_fold(vectors: np.ndarray, given: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the probabilities of the classes [N, K] by probes that have not seen the example, nor a copy of it.

    Args:
        vectors: [N, D]. given: the class of each, 0 to K - 1. groups: the same number for the same content.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    reduced = _reduced(vectors)
    probabilities = np.zeros((len(given), int(given.max()) + 1))
    folds = StratifiedGroupKFold(min(FOLDS, len(np.unique(groups))), shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a probe that has not converged judges nearly as well
        for learnt, judged in folds.split(reduced, given, groups):
            present = np.unique(given[learnt])
            if len(present) > 1:
                probe = LogisticRegression(C=_STRENGTH / len(given), max_iter=300).fit(reduced[learnt], given[learnt])
                probabilities[np.ix_(judged, present)] = probe.predict_proba(reduced[judged])
    return probabilities


def _reduced(vectors: np.ndarray) -> np.ndarray:
    """Return the principal components of vectors that were brought to one length, around their mean."""
    from sklearn.decomposition import PCA

    centred = vectors - vectors.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    width = min(WIDTH, *vectors.shape)
    solver = "randomized" if width == WIDTH else "full"
    return PCA(width, svd_solver=solver, random_state=0).fit_transform(unit * vectors.shape[1] ** 0.5)


def suspects(probabilities: np.ndarray, given: np.ndarray) -> dict[int, int]:
    """Return the places of doubtful examples with the class that they seem to have.

    They are off the diagonal of the confident joint, or another class is more probable by half.

    Args:
        probabilities: [N, K], out of fold. given: the class of each example.
    """
    own = probabilities[np.arange(len(given)), given]
    thresholds = np.array([own[given == label].mean() for label in range(probabilities.shape[1])])
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    confident = np.where(reached.max(1) > 0, reached.argmax(1), given)
    likeliest = probabilities.argmax(1)
    surpassed = probabilities.max(1) - own >= SURPASSED
    likely = np.where(confident != given, confident, np.where(surpassed, likeliest, given))
    return {int(place): int(likely[place]) for place in np.nonzero(likely != given)[0]}


check = LabelErrors()
