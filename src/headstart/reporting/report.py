"""The report of a run: one HTML file that shows what was measured and needs nothing but a browser."""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import tomli_w
from markupsafe import escape

from headstart.durable import write_durably
from headstart.record import REPORT_FILE, Control, Matrix, Record, Table
from headstart.reporting import conclusions, figures, showcase, wording
from headstart.reporting.pages import template

MATRIX_CLASSES = 20
PAIRS = 20
ROWS = 100
_LOOKS = re.compile(r'(<p class="quiet" id="looks">)[^<]*(</p>)')


def write_report(record: Record, folder: Path) -> Path:
    """Write `report.html` into `folder` and return its path.

    The same record and the same media give the same bytes. Pictures and recordings that are gone by now are
    left out. Whatever the data, the file stays below 5 MB: thumbnails, short clips, at most 100 rows a table.

    Raises:
        NoSpace, MachineError: the file cannot be written; nothing is left behind.
    """
    path = folder / REPORT_FILE
    write_durably(path, render(record).encode("utf-8", "replace"))
    return path


def say_looks(folder: Path, times: Sequence[tuple[str, str]]) -> None:
    """Let the report in `folder` say how often the test examples were looked at; see `conclusions.looks`.

    Only that sentence changes: pictures and recordings may be gone by now. Where there is no report, nothing happens.

    Raises:
        NoSpace, MachineError: the file cannot be written; it stays as it was.
    """
    path = folder / REPORT_FILE
    if path.is_file():
        page = path.read_bytes().decode("utf-8", "replace")
        sentence = str(escape(conclusions.looks(times)))
        write_durably(path, _LOOKS.sub(lambda found: found[1] + sentence + found[2], page, count=1).encode())


def render(record: Record) -> str:
    """Return the report as HTML; every text of the user's is escaped."""
    return template(__package__, "report.html.jinja").render(
        record=record,
        source=wording.without_folders(str(record.data.get("source", ""))),
        backbone=wording.without_folders(record.backbone),
        own=wording.test_control(record),
        baselines=wording.known(record),
        figures=figures,
        strip=strip(record),
        readable_rows=readable_rows,
        matrix=matrix,
        pairs=pairs,
        mistakes=showcase.mistakes(record),
        right=showcase.right(record),
        counts=counts(record),
        recipe=recipe_toml(record),
        facts=facts(record),
        rows=ROWS,
    )


def strip(record: Record) -> list[tuple[str, str]]:
    """Return the network from the input up: pairs of what happened to a part (a CSS class) and its name."""
    blocks = [
        ("frozen" if block <= record.freeze else "thawed" if block <= record.keep else "dropped", str(block))
        for block in range(1, record.blocks + 1)
    ]
    return [*blocks[: record.keep], ("head", "head"), *blocks[record.keep :]]


def readable_rows(table: Table) -> list[list[tuple[str, str]]]:
    """Return the rows of a section, each cell as text and interval or nothing; the weakest where they are too many."""
    rows = table.rows
    if len(rows) > ROWS and table.weakest_by is not None:
        rows = sorted(rows, key=itemgetter(table.weakest_by))
    return [[_cell(value, form) for value, form in zip(row, table.formats, strict=True)] for row in rows[:ROWS]]


def _cell(value: Any, form: str) -> tuple[str, str]:
    if form not in ("percent", "number"):
        return wording.excerpt(value, 48), ""
    score, *ends = value if isinstance(value, list) else [value]
    metric = "eval_accuracy" if form == "percent" else ""
    return wording.score(score, metric), wording.interval(Control(score, *ends), metric) if ends else ""


def matrix(section: Matrix) -> list[tuple[str, list[tuple[int, float, bool]]]]:
    """Return a confusion matrix by rows: label, and of each cell count, share of row, whether right.

    There are none where it is too large to read.
    """
    return [
        (label, [(count, count / max(sum(row), 1), true == predicted) for predicted, count in enumerate(row)])
        for true, (label, row) in enumerate(zip(section.labels, section.counts, strict=True))
        if len(section.labels) <= MATRIX_CLASSES
    ]


def pairs(section: Matrix) -> list[tuple[str, str, int, int]]:
    """Return the most frequent confusions: true class, predicted class, how often, of how many."""
    totals = [sum(row) for row in section.counts]
    found = (
        (true, predicted, count)
        for true, row in enumerate(section.counts)
        for predicted, count in enumerate(row)
        if count and true != predicted
    )
    most = heapq.nsmallest(PAIRS, found, key=lambda pair: (-pair[2], totals[pair[0]]))
    return [(section.labels[true], section.labels[predicted], count, totals[true]) for true, predicted, count in most]


def counts(record: Record) -> list[tuple[str, list[int]]]:
    """Return examples by class and split, as rows in the order of `record.counts`."""
    classes = dict.fromkeys(label for split in record.counts.values() for label in split)
    return [(label, [split.get(label, 0) for split in record.counts.values()]) for label in classes]


def recipe_toml(record: Record) -> str:
    """Return the recipe as it can be given to `fit` again, without the folders of this machine."""
    settings = {
        name: wording.without_folders(value) if isinstance(value, str) else value
        for name, value in record.recipe.items()
        if value is not None
    }
    return tomli_w.dumps(settings)


def facts(record: Record) -> list[tuple[str, str]]:
    """Return what else decides the numbers: data, weights and environment, as rows."""
    told = ("source", "fingerprint")  # not the contents of examples by their hashes, nor folders of this machine
    data = {name: record.data[name] for name in told if name in record.data}
    parts = {"data": data, "backbone": record.backbone_facts, "environment": record.environment}
    return list(wording.flattened(parts))[:ROWS]
