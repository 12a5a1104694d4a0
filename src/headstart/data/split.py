"""Divide examples into train, validation and test: the user's splits if present, else stratified and seeded.

Examples are ordered by a hash of the seed and of what they hold. The test split is taken from one end of that
order and the validation split from the other, class by class, so that an example never changes between the
two and moves into or out of train only when its own class grows or shrinks. Examples of one group, and
examples with exactly the same content, form a unit that stays together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import xxhash

from headstart.data.targets import ClassNames, TargetForm
from headstart.errors import DataError
from headstart.types import SPLITS, Example, Split

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.2
# One example to test on is worth having when two are left to learn from; one to stop on, when two still are.
FEWEST_FOR_TEST = 3
FEWEST_FOR_VALIDATION = 4

NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def split_named(name: str) -> Split | None:
    """Return the split that `name` means (`val`, `Valid` and `dev` mean validation), or None."""
    return NAMES.get(name.strip().lower())


@dataclass(frozen=True, slots=True)
class Unit:
    """Examples that must stay together.

    Attributes:
        rank: its place in the seeded order.
        members: their indices.
        counts: how many of them each stratum has.
    """

    rank: str
    members: tuple[int, ...]
    counts: Counter[str]


def assign_splits(
    examples: Sequence[Example], hashes: Sequence[str], *, seed: int = 0, form: TargetForm | None = None
) -> tuple[list[Example], list[str]]:
    """Give every example a split.

    Args:
        examples: in any order; those with a split keep it.
        hashes: the content hash of each.
        seed: another seed gives another division; the user's own splits do not depend on it.
        form: which targets are alike; classes by their names where it is not given.

    Returns:
        the examples in the same order, and notes on what was not possible.

    Raises:
        DataError: the user's splits leave nothing to train on.
    """
    form = form or ClassNames()
    strata = form.strata([example.target for example in examples])
    given = {example.split for example in examples} - {None}
    if not given or given == {"train"}:
        splits: list[Split] = ["train"] * len(examples)
        _cut(splits, examples, hashes, strata, ("test", "validation"), seed)
        return _with(examples, splits), _absences(splits, examples, form)
    if "train" not in given:
        raise DataError("the data have no training examples", "call one folder, file or value of the split `train`")
    splits = [example.split or "train" for example in examples]
    notes = _own_split_notes(examples, hashes, splits, form)
    if "validation" not in given:
        _cut(splits, examples, hashes, strata, ("validation",), seed)
    return _with(examples, splits), notes + _absences(splits, examples, form)


def _with(examples: Sequence[Example], splits: Sequence[Split]) -> list[Example]:
    return [replace(example, split=split) for example, split in zip(examples, splits, strict=True)]


def _cut(
    splits: list[Split],
    examples: Sequence[Example],
    hashes: Sequence[str],
    strata: Sequence[str],
    wanted: Sequence[Split],
    seed: int,
) -> None:
    """Move units from train to the `wanted` splits, in place."""
    indices = [index for index, split in enumerate(splits) if split == "train"]
    units = units_of(indices, examples, hashes, strata, seed=seed)
    left = Counter(strata[index] for index in indices)
    sizes = dict(left)
    for split in wanted:
        quota = _quota(sizes, split)
        chosen = _choose(units if split == "test" else units[::-1], quota, left)
        for unit in chosen:
            left -= unit.counts
            for index in unit.members:
                splits[index] = split
        ranks = {unit.rank for unit in chosen}
        units = [unit for unit in units if unit.rank not in ranks]


def assign_folds(
    examples: Sequence[Example], hashes: Sequence[str], *, folds: int, seed: int = 0, form: TargetForm | None = None
) -> list[int]:
    """Return the fold of every example, 0 to `folds` - 1: strata evenly spread, groups and duplicates together.

    Raises:
        DataError: there are fewer groups than folds.
    """
    strata = (form or ClassNames()).strata([example.target for example in examples])
    units = units_of(range(len(examples)), examples, hashes, strata, seed=seed)
    if len(units) < folds:
        raise DataError(
            f"{len(units)} examples or groups cannot be divided into {folds} folds", "ask for fewer with --folds"
        )
    # Large groups first: small ones then even out what they have done.
    order = sorted(units, key=lambda unit: -len(unit.members))
    held = [Counter[str]() for _ in range(folds)]
    found = [0] * len(examples)
    for unit in order:
        alike = [sum(min(n, 1) * held[fold][name] for name, n in unit.counts.items()) for fold in range(folds)]
        fold = min(range(folds), key=lambda fold: (alike[fold], held[fold].total(), fold))
        held[fold] += unit.counts
        for index in unit.members:
            found[index] = fold
    return found


def _quota(sizes: dict[str, int], split: Split) -> Counter[str]:
    """Return how many examples of each class `split` should get."""
    share, fewest = (TEST_SHARE, FEWEST_FOR_TEST) if split == "test" else (VALIDATION_SHARE, FEWEST_FOR_VALIDATION)
    return Counter({label: int(share * n + 0.5) for label, n in sizes.items() if n >= fewest})


def _choose(units: Sequence[Unit], quota: Counter[str], left: Counter[str]) -> list[Unit]:
    """Take units in order where each brings the classes nearer to their quota and leaves some to train on."""
    chosen, missing, remaining = [], Counter(quota), Counter(left)
    for unit in units:
        nearer = sum(abs(missing[c] - n) - abs(missing[c]) for c, n in unit.counts.items()) < 0
        if nearer and _leaves_some(unit, remaining):
            chosen.append(unit)
            missing.subtract(unit.counts)
            remaining.subtract(unit.counts)
    if chosen or not quota:
        return chosen
    # Groups may all be larger than the quota: one that is too large is better than no split.
    possible = [unit for unit in units if _leaves_some(unit, left)]
    return [min(possible, key=lambda unit: len(unit.members))] if possible else []


def _leaves_some(unit: Unit, remaining: Counter[str]) -> bool:
    return all(remaining[label] > n for label, n in unit.counts.items())


def units_of(
    indices: Collection[int], examples: Sequence[Example], hashes: Sequence[str], strata: Sequence[str], *, seed: int
) -> list[Unit]:
    """Join the examples that share a group or their content, however long the chain; in the seeded order."""
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for index in indices:
        group, content = find(_group_key(examples[index], hashes[index])), find(f"content {hashes[index]}")
        parent[max(group, content)] = min(group, content)
    members = defaultdict(list)
    for index in indices:
        members[find(f"content {hashes[index]}")].append(index)
    units = []
    for joined in members.values():
        # By content, not by name: renaming files or adding rows above moves no example.
        key = min(_group_key(examples[index], hashes[index]) for index in joined)
        rank = xxhash.xxh3_128_hexdigest(f"{seed} {key}".encode())
        units.append(Unit(rank, tuple(joined), Counter(strata[index] for index in joined)))
    return sorted(units, key=lambda unit: unit.rank)


def _group_key(example: Example, content: str) -> str:
    return f"group {example.group}" if example.group is not None else f"content {content}"


def _own_split_notes(
    examples: Sequence[Example], hashes: Sequence[str], splits: Sequence[Split], form: TargetForm
) -> list[str]:
    """Say what is wrong with the splits that the user made; they are kept as they are."""
    notes = []
    unsplit = sum(example.split is None for example in examples)
    if unsplit:
        notes.append(f"{_n(unsplit, 'example')} named no split and went into train.")
    shared = _spread(hashes, splits)
    if shared:
        notes.append(
            f"{_n(shared, 'example')} of the validation or test split {_are(shared)} also in another split, "
            "byte for byte: scores on them say little about new data."
        )
    groups = {example.group: set[Split]() for example in examples if example.group is not None}
    for example, split in zip(examples, splits, strict=True):
        if example.group is not None:
            groups[example.group].add(split)
    torn = sum(len(found) > 1 for found in groups.values())
    if torn:
        notes.append(f"{_n(torn, 'group')} {_are(torn)} in more than one of the splits that the data came with.")
    unseen = _classes(examples, splits, SPLITS, form) - _classes(examples, splits, ("train",), form)
    if unseen:
        names = ", ".join(f"`{name}`" for name in sorted(unseen)[:5])
        notes.append(f"{_n(len(unseen), 'class', 'classes')} {_have(len(unseen))} no training example: {names}.")
    return notes


def _classes(
    examples: Sequence[Example], splits: Sequence[Split], within: Collection[str], form: TargetForm
) -> set[str]:
    chosen = [example for example, split in zip(examples, splits, strict=True) if split in within]
    return {name for example in chosen for name in form.classes(example.target)}


def _spread(hashes: Sequence[str], splits: Sequence[Split]) -> int:
    """Count the held-out examples whose content is also in another split."""
    where = defaultdict(set)
    for content, split in zip(hashes, splits, strict=True):
        where[content].add(split)
    return sum(split != "train" and len(where[content]) > 1 for content, split in zip(hashes, splits, strict=True))


def _absences(splits: Sequence[Split], examples: Sequence[Example], form: TargetForm) -> list[str]:
    """Say which splits are missing, or lack classes, and what follows from it."""
    notes = []
    if "validation" not in splits:
        fewest = max(Counter(form.strata([example.target for example in examples])).values(), default=0)
        reason = f"with {_n(fewest, 'example')} a class at most" if fewest < FEWEST_FOR_VALIDATION else "here"
        notes.append(
            f"No validation split is possible {reason}: defaults measured on other data are used, never the test split."
        )
    if "test" not in splits:
        notes.append("There is no test split, so no score is given: add held-out examples as a split `test`.")
    else:
        untested = _classes(examples, splits, ("train",), form) - _classes(examples, splits, ("test",), form)
        if untested:
            notes.append(f"{_n(len(untested), 'class', 'classes')} {_have(len(untested))} no test example.")
    return notes


def _n(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"
