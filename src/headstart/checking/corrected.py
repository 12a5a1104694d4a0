"""The data as a table with a suggestion beside each label, for the user to accept, change or refuse row by row.

`headstart fit corrected.csv --label-column suggestion` takes all of them: an example without a label is left out.
"""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.checking.checks.contract import LEAVE_OUT
from headstart.checking.findings import Findings
from headstart.data.targets import TargetForm, number
from headstart.durable import write_durably
from headstart.tasks.multilabel import SEPARATOR, ClassLists
from headstart.types import Example

CORRECTED_FILE = "corrected.csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_corrected(findings: Findings, folder: Path) -> Path | None:
    """Write `corrected.csv` into `folder`, the rows with a suggestion first, and return its path.

    It is None where targets are lists of tags, which a cell cannot hold. Files are named relative to `folder`; what
    a spreadsheet would take for a formula has a `'` before it.

    Raises:
        NoSpace, MachineError: the file cannot be written; nothing is left behind.
    """
    dataset = findings.dataset
    if any(_cell(dataset.form, example.target) is None for example in dataset.examples):
        return None
    rows = sorted(_rows(findings, folder), key=lambda row: not row["why"])
    inputs = ["text", "text_pair"] if dataset.kind == "text" else ["file_name"]
    wanted = [*inputs, "label", "suggestion", "why", "split", "group"]
    columns = [name for name in wanted if name in (inputs[0], "suggestion", "why") or any(map(_has(name), rows))]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: neutral(value) for name, value in row.items()} for row in rows)
    path = folder / CORRECTED_FILE
    write_durably(path, text.getvalue().encode("utf-8", "replace"))
    return path


def _has(name: str) -> Any:
    return lambda row: row.get(name)


def _rows(findings: Findings, folder: Path) -> Iterator[dict[str, str]]:
    """Yield a row an example; a file whose name is no UTF-8 cannot stand in a table."""
    dataset = findings.dataset
    suggestions, reasons = _suggested(findings)
    for example in dataset.examples:
        inputs = _inputs(example, folder)
        if inputs is None:
            continue
        label = _cell(dataset.form, example.target) or ""
        yield inputs | {
            "label": label,
            "suggestion": suggestions.get(example.name, label),
            "why": "; ".join(reasons[example.name]),
            "split": str(example.split or "") if dataset.own_splits else "",
            "group": example.group or "",
        }


def _suggested(findings: Findings) -> tuple[dict[str, str], defaultdict[str, list[str]]]:
    """Return what is suggested for which example, and why: leaving out goes before another label, the worst first."""
    suggestions: dict[str, str] = {}
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for problem in findings.problems:
        for case in problem.cases:
            if case.suggestion is None:
                continue
            name = case.names[0]
            reasons[name].append(f"{problem.kind} ({case.note or ', '.join(case.names[1:])})".removesuffix(" ()"))
            if case.suggestion == LEAVE_OUT or name not in suggestions:
                suggestions[name] = case.suggestion
    return suggestions, reasons


def _inputs(example: Example, folder: Path) -> dict[str, str] | None:
    if "text" in example.inputs:
        return {name: str(value).replace("\0", "") for name, value in example.inputs.items()}
    path = Path(os.path.relpath(next(iter(example.inputs.values())), folder)).as_posix()
    try:
        path.encode()
    except UnicodeEncodeError:
        return None
    return {"file_name": f"./{path}" if path.startswith(_FORMULA) else path}


def _cell(form: TargetForm, target: Any) -> str | None:
    """Return a target as a cell that `fit` reads again, None where no cell can hold it."""
    if isinstance(form, ClassLists):
        return SEPARATOR.join(target)
    return str(target) if isinstance(target, str | int | float) else None


def neutral(value: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; numbers stay as they are."""
    return f"'{value}" if value.startswith(_FORMULA) and number(value) is None else value
