"""Where a model is weak: its score by group, by folder, and for short and long inputs, each with its interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from headstart.data.isolation import audio_seconds
from headstart.errors import HeadstartError
from headstart.intervals import Interval, bootstrap, proportion
from headstart.record import Section, Table
from headstart.tasks.contract import Task
from headstart.training.loop import Labelled
from headstart.types import Example, Kind

FEWEST = 5  # examples, below which a subgroup is not listed
FEW = 20  # below which it is said that they are few
MOST = 20  # subgroups in a table
_RESAMPLES = 300
_UNITS = {"text": "characters", "audio": "seconds", "image": "kB"}


def subgroup_tables(task: Task, judged: Labelled, logits: np.ndarray) -> list[Section]:
    """Return a table for each way to divide what was judged that leaves at least two parts."""
    examples = [judged.features.examples[index] for index in judged.indices]
    outcomes, groups = task.outcomes(logits, judged.targets), judged.groups
    by_size = "Small and large files" if task.kind == "image" else "Short and long"
    tables = [
        _table("Group by group", _by(example.group for example in examples), task, outcomes, None),
        _table("Folder by folder", _by_folder(examples), task, outcomes, groups),
        _table(by_size, _by_size(examples, task.kind), task, outcomes, groups),
    ]
    return [table for table in tables if len(table.rows) > 1]


Parts = Mapping[str, Sequence[int]]


def _by(names: Any) -> Parts:
    """Return the positions that share a name; those without one are left out."""
    parts = defaultdict(list)
    for place, name in enumerate(names):
        if name:
            parts[name].append(place)
    return parts


def _by_folder(examples: Sequence[Example]) -> Parts:
    """Return examples by the folder that their files lie in, unless folders are nothing but classes."""
    folders = [str(PurePosixPath(example.name).parent) for example in examples]
    if "text" in examples[0].inputs or set(folders) == {"."}:
        return {}
    pairs = {(folder, str(example.target)) for folder, example in zip(folders, examples, strict=True)}
    if len(pairs) == len(set(folders)) == len({target for _, target in pairs}):
        return {}
    return _by(folders)


def _by_size(examples: Sequence[Example], kind: Kind) -> Parts:
    """Return three parts by length or size, as many examples in each as equal ones allow."""
    try:
        sizes = np.array([_size(example, kind) for example in examples], dtype=np.float64)
    except (HeadstartError, OSError):  # a file is gone by now; whoever decodes it has named it
        return {}
    ends = np.quantile(sizes, [1 / 3, 2 / 3])
    part_of = np.searchsorted(ends, sizes, side="left")
    places = [np.flatnonzero(part_of == part) for part in np.unique(part_of)]
    return {f"{_span(sizes[part])} {_UNITS[kind]}": part.tolist() for part in places}


def _size(example: Example, kind: Kind) -> float:
    """Return characters of a text, seconds of a recording, kB of a picture's file."""
    if kind == "text":
        return sum(len(str(text)) for text in example.inputs.values())
    path = Path(example.inputs[kind])
    return audio_seconds(path) if kind == "audio" else path.stat().st_size / 1000


def _span(sizes: np.ndarray) -> str:
    low, high = (f"{end:.0f}" if end >= 100 else f"{end:.3g}" for end in (sizes.min(), sizes.max()))
    return low if low == high else f"{low} to {high}"


def _table(title: str, parts: Parts, task: Task, outcomes: np.ndarray, groups: Sequence[str] | None) -> Table:
    rows: list[list[Any]] = []
    for name, places in parts.items():
        if len(places) >= FEWEST:
            of = None if groups is None else [groups[place] for place in places]
            score = task.score(outcomes[places])
            low, high = _interval(task, outcomes[places], of)
            rows.append([name, [score, min(low, score), max(high, score)], len(places)])
    rows.sort(key=lambda row: row[1][2])
    return Table(
        title,
        columns=["Part", f"eval_{task.metric}", "Test examples"],
        formats=["name", "percent" if task.metric == "accuracy" else "number", "count"],
        rows=rows[:MOST],
        note=" ".join(_notes(len(parts), rows)),
    )


def _notes(count: int, rows: Sequence[Sequence[Any]]) -> list[str]:
    few = sum(row[2] < FEW for row in rows[:MOST])
    notes = ["In the order of what is surely weak, by the upper end of the 95 % interval."]
    if len(rows) > MOST:
        notes.append(f"These are {MOST} of {len(rows)}: of so many, some are weak by chance alone.")
    if few:
        notes.append(f"{few} of them {'has' if few == 1 else 'have'} fewer than {FEW} examples, which say little.")
    if count > len(rows):
        notes.append(f"Parts with fewer than {FEWEST} examples are not listed: {count - len(rows)}.")
    return notes


def _interval(task: Task, outcomes: np.ndarray, groups: Sequence[str] | None) -> Interval:
    if outcomes.dtype == bool:
        return proportion(outcomes, groups)
    return bootstrap(task.score, outcomes, groups=groups, resamples=_RESAMPLES)
