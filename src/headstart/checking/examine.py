"""Let every check look at a data set: all of it for `headstart check`, and within bounds in every `fit`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.backbones.contract import Backbone
from headstart.checking.checks.contract import Check
from headstart.checking.evidence import Evidence
from headstart.checking.findings import Findings
from headstart.checking.neighbours import close_pairs
from headstart.checking.sketch import sketch_all
from headstart.data.dataset import Dataset
from headstart.events import Listener, ignore
from headstart.features.depths import POOLINGS
from headstart.features.extract import FeatureSet
from headstart.features.pooling import pooled
from headstart.heads.contract import features_of, make_head
from headstart.registry import plugins
from headstart.types import Example, Skipped

VECTORS_AT_MOST = 20_000
# What a run may spend on it: a few seconds.
VECTORS_IN_A_FIT = 5_000
DECODED_IN_A_FIT = 1_000
CLOSE = 0.8  # cosine similarity from which on a pair is worth decoding


@dataclass(frozen=True)
class Seen:
    """What a backbone saw of a data set.

    Attributes:
        backbone: its name. vectors: [M, D]. examples: those of the rows, [M].
        skipped: what could not be decoded. shortened: names of examples that are longer than it reads.
    """

    backbone: str
    vectors: np.ndarray
    examples: tuple[Example, ...]
    skipped: tuple[Skipped, ...]
    shortened: frozenset[str]


def see(features: FeatureSet, backbone: Backbone, *, at_most: int = VECTORS_AT_MOST) -> Seen | None:
    """Return one vector an example, the features at the cut averaged over steps or places.

    There is none where features are not stored, because then that would be the whole pass again, and none where
    nothing is frozen. Of very many examples it takes the held-out ones, then as many others as the bound allows.
    """
    crossing = {name: spec for name, spec in features.specs.items() if spec.kind not in ("input", "mask")}
    if not features.stored or not len(features) or not crossing:
        return None
    outputs = {name: spec for name, spec in features.specs.items() if spec.kind != "input"}
    head = make_head(POOLINGS[features_of(outputs)[1].kind][0], outputs, 1)
    examples = features.examples
    rows = sorted(range(len(examples)), key=lambda row: examples[row].split == "train")[:at_most]
    shortened = frozenset(example.name for example in examples if backbone.preprocess.shortened(example))
    seen = tuple(examples[row] for row in rows)
    return Seen(backbone.name, pooled(features, head, rows), seen, features.skipped, shortened)


def examine(
    dataset: Dataset, seen: Seen | None = None, *, decode_at_most: int | None = None, listener: Listener = ignore
) -> Findings:
    """Return what is wrong with the data, the worst first.

    Args:
        seen: what a backbone makes of them; without it the checks that need vectors are left out.
        decode_at_most: of more pictures or recordings, those are decoded that the backbone finds most alike.
    """
    evidence = gather(dataset, seen, decode_at_most=decode_at_most, listener=listener)
    problems = [problem for check in _fitting(evidence) for problem in check.find(evidence)]
    found = Findings(evidence.dataset, tuple(problems), seen.backbone if seen else None, tuple(_notes(evidence)))
    order = sorted(problems, key=lambda one: (one.severity, -(found.test_share(one.cases) or 0), -len(one.cases)))
    return replace(found, problems=tuple(order))


def examine_in_fit(dataset: Dataset, features: FeatureSet, backbone: Backbone, listener: Listener) -> Findings:
    """Return what is wrong with the data of a run, from the features that it has anyway and in a few seconds."""
    seen = see(features, backbone, at_most=VECTORS_IN_A_FIT)
    return examine(dataset, seen, decode_at_most=DECODED_IN_A_FIT, listener=listener)


def gather(
    dataset: Dataset, seen: Seen | None = None, *, decode_at_most: int | None = None, listener: Listener = ignore
) -> Evidence:
    """Decode what is to be decoded, and return all that checks look at."""
    media = [] if dataset.kind == "text" else _worth_decoding(dataset, seen, decode_at_most)
    sketches, bad = sketch_all(media, kind=dataset.kind, listener=listener) if media else ({}, ())
    unreadable = {one.name: one for one in (*(seen.skipped if seen else ()), *bad)}
    kept = tuple(example for example in dataset.examples if example.name not in unreadable)
    return Evidence(
        dataset=replace(dataset, examples=kept),
        sketches=sketches,
        unreadable=tuple(unreadable.values()),
        vectors=seen.vectors if seen else None,
        embedded=seen.examples if seen else (),
        dates=dict(_dates(kept)),
        shortened=seen.shortened if seen else frozenset(),
    )


def _fitting(evidence: Evidence) -> Iterator[Check]:
    """Yield the checks that look at data of this kind, and have what they need."""
    for check in plugins("checking.checks").values():
        if evidence.dataset.kind in check.kinds and (not check.needs or getattr(evidence, check.needs) is not None):
            yield check


def _worth_decoding(dataset: Dataset, seen: Seen | None, limit: int | None) -> list[Example]:
    """Return all examples, or those that have the nearest neighbours, so that duplicates are among them."""
    if limit is None or len(dataset.examples) <= limit or seen is None:
        return list(dataset.examples[:limit])
    held_out = [row for row, example in enumerate(seen.examples) if example.split != "train"]
    pairs = close_pairs(seen.vectors, floor=CLOSE, first=held_out)
    rows = (row for pair in sorted(pairs, key=lambda pair: -pairs[pair]) for row in pair)
    names = {seen.examples[row].name for row in list(dict.fromkeys(rows))[:limit]}
    return [example for example in dataset.examples if example.name in names]


def _dates(examples: Collection[Example]) -> Iterator[tuple[str, float]]:
    """Yield when the files of examples were last changed."""
    for example in examples:
        value = next(iter(example.inputs.values()))
        if isinstance(value, Path):
            try:
                yield example.name, value.stat().st_mtime
            except OSError:
                continue


def _notes(evidence: Evidence) -> Iterator[str]:
    """Say what was not looked at."""
    examples, labels = len(evidence.dataset.examples), evidence.dataset.labels
    if len(labels) < evidence.dataset.form.least_classes:
        there = f"one class, `{labels[0]}`" if labels else "no class"
        yield f"There is {there}: at least two are needed to learn them."
    if evidence.vectors is None:
        yield "No backbone was run: doubtful labels and examples that are too long were not looked for."
    elif len(evidence.embedded) < examples:
        yield f"Labels were judged of {len(evidence.embedded):,} of {examples:,} examples, the held-out ones first."
    if evidence.dataset.kind != "text" and len(evidence.sketches) < examples:
        compared = len(evidence.sketches)
        yield f"Of {examples:,} files {compared:,} were compared, those that the backbone finds most alike."
