"""The label written into the name of the file, or into the text itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from headstart.checking.checks.contract import Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence
from headstart.checking.texts import words_of
from headstart.types import Example

MOST = 0.8  # of the examples with a label, from which on names or texts are made from labels


class LabelInInput(Check):
    name = "label-in-input"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        own, other, asked = _sorted_by_name(evidence)
        if not asked or len(evidence.dataset.labels) < 2 or len(own) < MOST * asked:
            return
        if evidence.dataset.kind == "text":
            yield Problem(
                "label-in-text", "The label stands in the text",
                "Take it out, or the score will say nothing about texts in which it does not stand.",
                Severity.SCORES, tuple(own),
            )  # fmt: skip
            return
        if other:
            yield Problem(
                "label-against-name", "Files called after another class",
                "Most files are called after their class, and these after another: look which is right.",
                Severity.LEARNING, tuple(other),
            )  # fmt: skip
        yield Problem(
            "label-in-name", "Files called after their class",
            "Harmless for a network, which never sees a name; whatever does read names must not be trusted with these.",
            Severity.ODD, tuple(own),
        )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        for number, example in enumerate(evidence.examples):
            if evidence.dataset.kind == "text":
                evidence = evidence.changed(number, inputs={"text": f"{example.target}: {example.inputs['text']}"})
            else:
                label = example.target if number else next(x for x in evidence.dataset.labels if x != example.target)
                evidence = evidence.changed(number, name=f"{example.target}/{label}-{number}.png")
        return evidence


def _sorted_by_name(evidence: Evidence) -> tuple[list[Case], list[Case], int]:
    """Return the examples that name their own label, those that name one other, and how many have a label."""
    labels = {label: words_of(label.replace("_", " ")) for label in evidence.dataset.labels}
    labelled = [(example, label) for example in evidence.examples if (label := evidence.label(example)) is not None]
    own, other = [], []
    for example, label in labelled:
        named = _named(_words(example), labels)
        if label in named:
            own.append(Case((example.name,), f"`{label}`"))
        elif len(named) == 1:
            other.append(Case((example.name,), f"labelled `{label}`, called `{named[0]}`", suggestion=named[0]))
    return own, other, len(labelled)


def _words(example: Example) -> list[str]:
    if "text" in example.inputs:
        return words_of(example.shown())
    return words_of(PurePosixPath(example.name).stem.replace("_", " "))


def _named(words: list[str], labels: dict[str, list[str]]) -> list[str]:
    """Return the labels all of whose words stand in a row in `words`."""
    return [
        label
        for label, wanted in labels.items()
        if wanted and any(words[at : at + len(wanted)] == wanted for at in range(len(words)))
    ]


check = LabelInInput()
