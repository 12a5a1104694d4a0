"""Open a user's data: from a folder or a table to labelled examples in a fixed order, each in a split."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import xxhash

from headstart.data.checks import (
    duplicate_notes,
    require_classes,
    require_difference,
    require_existing,
    require_targets,
    unrecognised,
)
from headstart.data.formats.contract import Columns, Format, Note
from headstart.data.inputs import open_inputs
from headstart.data.split import assign_folds, assign_splits
from headstart.data.targets import ClassNames, TargetForm
from headstart.data.truncation import cut_short_notes
from headstart.errors import DataError, HeadstartError, UnreadableFile
from headstart.registry import plugins
from headstart.types import KINDS, SPLITS, Example, Kind, Skipped, Split

__all__ = ["Dataset", "content_hash", "open_dataset", "open_inputs"]

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Dataset:
    """Labelled examples in a fixed order.

    Attributes:
        examples: all of them, each with a split.
        kind: what the inputs are.
        labels: the classes, sorted; none where targets are quantities.
        skipped: the inputs that were left out, and why.
        notes: sentences that the user must see.
        source: where the data lie.
        own_splits: the user made the splits.
        hashes: the content hash of examples by name, as far as it is known already.
        form: how the targets were read.
    """

    examples: tuple[Example, ...]
    kind: Kind
    labels: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    source: Path
    own_splits: bool = False
    hashes: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    form: TargetForm = field(default_factory=ClassNames, repr=False, compare=False)

    def split(self, name: Split) -> tuple[Example, ...]:
        """Return the examples of one split, in order."""
        return tuple(example for example in self.examples if example.split == name)

    def without(self, names: Collection[str]) -> Dataset:
        """Return the dataset without the examples called `names`; splits stay as they are.

        Raises:
            DataError: too few classes are left.
        """
        gone = set(names)
        kept = tuple(example for example in self.examples if example.name not in gone)
        skipped = [*self.skipped, *(Skipped(name, "cannot be used") for name in sorted(gone))]
        require_classes(self.source, kept, skipped, self.form)
        return replace(self, examples=kept, labels=_labels(kept, self.form))

    def not_judging(self, learnt: Collection[str]) -> Dataset:
        """Return the dataset without tests on contents that a backbone has learnt from.

        Examples that headstart had set aside are trained on instead; of the user's own splits they are left out.
        """
        known = {e.name for e in self.examples if e.split != "train" and self.hashes.get(e.name) in learnt}
        if not known:
            return self
        note = f"{len(known)} examples were not used for scores: the backbone had learnt from them before."
        dataset = replace(self, notes=(*self.notes, note))
        if self.own_splits:
            return dataset.without(known)
        moved = (replace(e, split="train") if e.name in known else e for e in self.examples)
        return replace(dataset, examples=tuple(moved))

    def joined(self) -> Dataset:
        """Return the dataset with validation, and a test split that the user did not make, joined to train."""
        return replace(
            self,
            examples=tuple(
                e if e.split == "test" and self.own_splits else replace(e, split="train") for e in self.examples
            ),
        )

    def folds(self, count: int, *, seed: int = 0, learnt: Collection[str] = ()) -> dict[str, int]:
        """Return the fold of every example that may be judged, by name; see `assign_folds`.

        Args:
            learnt: hashes of contents that a backbone has learnt from before; they and the test split are in no fold.
        """
        examples = [e for e in self.examples if e.split != "test" and self.hashes[e.name] not in learnt]
        hashes = [self.hashes[example.name] for example in examples]
        folds = assign_folds(examples, hashes, folds=count, seed=seed, form=self.form)
        return {example.name: fold for example, fold in zip(examples, folds, strict=True)}

    def counts(self) -> dict[Split, dict[str, int]]:
        """Return how many examples of each split have each class."""
        found = Counter(
            (example.split, name) for example in self.examples for name in self.form.classes(example.target)
        )
        return {split: {label: found[split, label] for label in self.labels} for split in SPLITS}

    @cached_property
    def fingerprint(self) -> str:
        """The xxh3_128 of names, contents, targets and splits."""
        digest = xxhash.xxh3_128()
        for example in self.examples:
            content = self.hashes.get(example.name) or content_hash(example)
            line = json.dumps([example.name, content, example.target, example.split], default=str)
            digest.update(line.encode() + b"\n")
        return digest.hexdigest()


def open_dataset(
    path: Path | str,
    *,
    kind: Kind | None = None,
    forms: Sequence[TargetForm] = (ClassNames(),),
    text_column: str = "text",
    text_pair_column: str = "text_pair",
    label_column: str = "label",
    group_column: str = "group",
    split_column: str = "split",
    seed: int = 0,
    to_learn: bool = True,
) -> Dataset:
    """Read labelled data in whichever format they have, and give every example a split.

    Args:
        path: a folder or a table.
        kind: what the inputs are, where the data leave it open.
        forms: ways to read the targets; the one that fits best is taken.
        text_column, text_pair_column, label_column, group_column, split_column: what the columns of tables are
            called; several columns of labels have commas between them.
        seed: decides the splits that the data do not have.
        to_learn: False for data that are only judged, of which one class is enough.

    Raises:
        DataError: the path, the layout, a table, the targets or the classes cannot be used.
    """
    source = require_existing(Path(path))
    columns = Columns(text_column, label_column, group_column, split_column, text_pair_column)
    reading = _read(source, columns, kind)
    skipped = list(reading.skipped)
    form = max(forms, key=lambda form: form.claims(reading.examples))
    examples, hashes = _hashed(_with_targets(source, reading.examples, form, skipped), skipped)
    require_classes(source, examples, skipped, form, to_learn=to_learn)
    if to_learn:
        require_difference(source, examples, hashes, form, columns)
    own_splits = any(example.split for example in examples)
    examples, split_notes = assign_splits(examples, hashes, seed=seed, form=form)
    content_notes = (*duplicate_notes(examples, hashes), *cut_short_notes(examples))
    notes = (*reading.notes, *form.notes(reading.examples, examples), *content_notes, *split_notes)
    return Dataset(
        examples=tuple(examples),
        kind=reading.kind,
        labels=_labels(examples, form),
        skipped=tuple(skipped),
        notes=notes,
        source=source,
        own_splits=own_splits,
        hashes={example.name: content for example, content in zip(examples, hashes, strict=True)},
        form=form,
    )


def content_hash(example: Example) -> str:
    """Return the xxh3_128 of what an example holds: its inputs by name, not its own name, label or split.

    Raises:
        UnreadableFile: an input file cannot be read.
    """
    digest = xxhash.xxh3_128()
    for name, value in sorted(example.inputs.items()):
        if isinstance(value, Path):
            size = _update_from_file(digest, value)
        else:
            data = value.encode()
            digest.update(data)
            size = len(data)
        digest.update(f"\0{name}\0{size}\0".encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one format made of the data."""

    examples: tuple[Example, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        return next(kind for kind in KINDS if kind in self.examples[0].inputs)


def _read(path: Path, columns: Columns, kind: Kind | None) -> _Reading:
    """Read `path` with the format that finds most examples in it."""
    formats: list[Format] = [f for f in plugins("data.formats").values() if kind is None or kind in f.kinds]
    readings: list[_Reading] = []
    errors: list[HeadstartError] = []
    recognising = [format for format in formats if format.recognises(path)]
    if not recognising:
        raise unrecognised(path, kind)
    for format in recognising:
        try:
            readings.append(_collect(format.read(path, columns, kind=kind)))
        except DataError as error:
            errors.append(error)
    if not readings:
        raise errors[0]
    sizes = [len(reading.examples) for reading in readings]
    if sizes.count(max(sizes)) > 1:
        names = " and ".join(f"`{format.name}`" for format in recognising)
        raise DataError(f"`{path}` can be read as {names}, equally well", "say which with --task")
    best = readings[sizes.index(max(sizes))]
    if not best.examples:
        require_classes(path, (), best.skipped, ClassNames())
    return best


def _collect(items: Iterable[Example | Skipped | Note]) -> _Reading:
    items = list(items)
    return _Reading(
        tuple(item for item in items if isinstance(item, Example)),
        tuple(item for item in items if isinstance(item, Skipped)),
        tuple(item.sentence for item in items if isinstance(item, Note)),
    )


def _with_targets(path: Path, raw: Sequence[Example], form: TargetForm, skipped: list[Skipped]) -> list[Example]:
    """Read the target of every example; an example without one moves to `skipped`."""
    read, unusable = [], []
    for example in raw:
        try:
            read.append(replace(example, target=form.read(example)))
        except ValueError as error:
            unusable.append(Skipped(example.name, str(error)))
    skipped += unusable
    require_targets(path, raw, unusable)
    return read


def _hashed(examples: Sequence[Example], skipped: list[Skipped]) -> tuple[list[Example], list[str]]:
    """Hash every example; what cannot be read or is an empty file moves to `skipped`."""
    kept, hashes = [], []
    for example in examples:
        try:
            hashes.append(content_hash(example))
        except UnreadableFile as error:
            skipped.append(Skipped(example.name, error.cause))
        else:
            kept.append(example)
    return kept, hashes


def _labels(examples: Iterable[Example], form: TargetForm) -> tuple[str, ...]:
    return tuple(sorted({name for example in examples for name in form.classes(example.target)}))


def _update_from_file(digest: xxhash.xxh3_128, path: Path) -> int:
    size = 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise UnreadableFile(path, f"cannot be read: {error.strerror}") from None
    if size == 0:
        raise UnreadableFile(path, "is empty")
    return size
