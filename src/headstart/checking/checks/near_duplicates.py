"""Examples that are the same to people, though not to the byte: found by what they hold, never by vectors alone.

What the backbone finds alike is compared besides what looks, sounds or reads alike by itself; a pair counts when
its pixels, its bands or its words agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from headstart.checking.checks.contract import LEAVE_OUT, Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence
from headstart.checking.neighbours import Pair, close_pairs
from headstart.checking.pictures import near_pictures
from headstart.checking.recordings import near_recordings
from headstart.checking.texts import near_texts
from headstart.types import Example

ACROSS = "near-duplicates-across-splits"
_LEAVE = ("train", None, "validation", "test")  # of a pair, what was set aside stays where it is
TEXTS_AT_MOST = 50_000
CLOSE = 0.9  # cosine similarity of vectors, from which on a pair is looked at


class NearDuplicates(Check):
    name = "near-duplicates"
    kinds = ("text", "image", "audio")

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        across: list[Case] = []
        within: list[Case] = []
        for one, other, score in _pairs(evidence):
            (across if one.split != other.split else within).append(_case(evidence, one, other, score))
        if across:
            yield Problem(
                ACROSS, "Nearly the same in more than one split",
                "Leave one of each pair out, or put both into one group (a column called group): "
                "a score on what was nearly learnt says little about new examples.",
                Severity.SCORES, _surest_first(across),
            )  # fmt: skip
        if within:
            yield Problem(
                "near-duplicates", "Nearly the same within a split",
                "Keep them if they vary as new examples will; give them one group before you divide the data anew.",
                Severity.ODD, _surest_first(within),
            )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        first = evidence.examples[0]
        if evidence.dataset.kind == "text":
            return evidence.changed(1, inputs={"text": f"{first.inputs['text']}!".upper()}, split="test")
        return evidence.changed(1, sketch=evidence.sketches[first.name], split="test")


def _pairs(evidence: Evidence) -> list[tuple[Example, Example, float]]:
    """Return pairs that are not byte for byte the same, the one to leave out first."""
    examples = _compared(evidence)
    held_out = [number for number, example in enumerate(examples) if example.split != "train"]
    candidates = _close(evidence, examples)
    found = _alike(evidence, examples, candidates, held_out)
    hashes = evidence.dataset.hashes
    pairs = []
    for places, score in found.items():
        one, other = sorted((examples[place] for place in places), key=lambda example: _LEAVE.index(example.split))
        if hashes[one.name] != hashes[other.name]:
            pairs.append((one, other, score))
    return pairs


def _compared(evidence: Evidence) -> list[Example]:
    """Return the examples that can be compared: texts, or media that hold something; held-out texts first."""
    if evidence.dataset.kind == "text":
        return sorted(evidence.examples, key=lambda example: example.split == "train")[:TEXTS_AT_MOST]
    sketches = evidence.sketches
    return [one for one in evidence.examples if one.name in sketches and not sketches[one.name].constant]


def _alike(
    evidence: Evidence, examples: Sequence[Example], candidates: Sequence[Pair], first: Sequence[int]
) -> Mapping[Pair, float]:
    if len(examples) < 2:
        return {}
    if evidence.dataset.kind == "text":
        return near_texts([example.shown() for example in examples], candidates=candidates)
    near = {"image": near_pictures, "audio": near_recordings}[evidence.dataset.kind]
    return near([evidence.sketches[one.name] for one in examples], candidates=candidates, first=first)


def _close(evidence: Evidence, examples: Sequence[Example]) -> list[Pair]:
    """Return the pairs that the backbone finds alike, as places in `examples`."""
    if evidence.vectors is None:
        return []
    place = {example.name: number for number, example in enumerate(examples)}
    held_out = [number for number, example in enumerate(evidence.embedded) if example.split != "train"]
    pairs = close_pairs(evidence.vectors, floor=CLOSE, first=held_out)
    found = ([place.get(evidence.embedded[number].name, -1) for number in pair] for pair in pairs)
    return [(min(pair), max(pair)) for pair in found if min(pair) >= 0]


def _case(evidence: Evidence, one: Example, other: Example, score: float) -> Case:
    labels = [evidence.dataset.form.text(example.target) for example in (one, other)]
    note = f"labelled `{labels[0]}` and `{labels[1]}`" if labels[0] != labels[1] else ""
    suggestion = LEAVE_OUT if one.split != other.split else None
    return Case((one.name, other.name), note, round(score, 4), suggestion)


def _surest_first(cases: Sequence[Case]) -> tuple[Case, ...]:
    return tuple(sorted(cases, key=lambda case: (-case.score, case.names)))


check = NearDuplicates()
