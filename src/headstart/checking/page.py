"""The page of a check: one HTML file with the problems, and the pairs and suspects to look at or listen to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headstart.checking.checks.contract import Case, Problem
from headstart.checking.findings import Findings
from headstart.durable import write_durably
from headstart.errors import HeadstartError
from headstart.registry import plugins
from headstart.reporting.pages import template
from headstart.reporting.showcase import EXCERPT_CHARACTERS, clip, thumbnail
from headstart.reporting.wording import PLURALS, excerpt, percent
from headstart.types import Example

PAGE_FILE = "check.html"
CASES = 24  # of each problem
TOGETHER = 4  # examples of a case
MEDIA_CHARACTERS = 4_000_000


@dataclass(frozen=True, slots=True)
class Shown:
    """An example of a case with what can be seen or heard of it.

    Attributes:
        label, split: as people read them, or empty. media: data URI, or empty. text: an excerpt, or empty.
        missing: why there is nothing to see or hear, or empty.
    """

    name: str
    label: str = ""
    split: str = ""
    media: str = ""
    text: str = ""
    missing: str = ""


def write_page(findings: Findings, folder: Path, *, corrected: Path | None = None) -> Path:
    """Write `check.html` into `folder` and return its path.

    Whatever the data, it stays below 5 MB: thumbnails, short clips, at most 24 cases a problem.

    Args:
        corrected: the table of suggestions beside it, or None.

    Raises:
        NoSpace, MachineError: the file cannot be written; nothing is left behind.
    """
    path = folder / PAGE_FILE
    write_durably(path, render(findings, corrected=corrected).encode("utf-8", "replace"))
    return path


def render(findings: Findings, *, corrected: Path | None = None) -> str:
    """Return the page as HTML; every text of the user's is escaped."""
    show = _Showing(findings)
    return template("headstart.checking", "check.html.jinja").render(
        findings=findings,
        source=findings.dataset.source.name,
        title=headline(findings),
        kind=findings.dataset.kind,
        rows=[(problem, share(findings, problem)) for problem in findings.problems],
        sections=[(p, [(case, show.examples(case)) for case in p.cases[:CASES]]) for p in findings.problems],
        corrected=corrected.name if corrected else "",
        command=command(findings, corrected) if corrected else "",
        suggestion=suggestion,
    )


def command(findings: Findings, corrected: Path) -> str:
    """Return the command that takes all suggestions; a task that the table would not tell of is named."""
    tasks = (task for task in plugins("tasks").values() if task.form is findings.dataset.form)
    task = next((task.name_for(findings.dataset.kind) for task in tasks), "")
    named = f" --task {task}" if task and not task.endswith("-classification") else ""
    return f"headstart fit {corrected.name}{named} --label-column suggestion"


def headline(findings: Findings) -> str:
    """Return what was found in one sentence."""
    count = len(findings.dataset.examples)
    things = PLURALS[findings.dataset.kind]
    looked = f"{count:,} {things[:-1] if count == 1 else things}"
    if not findings.problems:
        return f"Nothing was found wrong with {looked}."
    problems = len(findings.problems)
    found = f"{problems} kind{'' if problems == 1 else 's'} of problems in {looked}"
    affected = findings.test_share(findings.duplicates_across_splits)
    if not affected:
        return f"{found}."
    return f"{found}: {percent(affected)} of the test examples are also in another split, or nearly."


def share(findings: Findings, problem: Problem) -> str:
    """Return the share of the test examples that a problem concerns, as people write it."""
    found = findings.test_share(problem.cases)
    return "" if found is None else percent(found) if found else "none"


def suggestion(case: Case) -> str:
    """Return what is suggested for the first example of a case, or nothing."""
    if case.suggestion is None:
        return ""
    return f"suggested: {excerpt(case.suggestion, 48)}" if case.suggestion else "suggested: leave the first out"


class _Showing:
    """Shows examples as long as the page stays small; each is decoded once."""

    def __init__(self, findings: Findings) -> None:
        self._dataset = findings.dataset
        self._examples = {example.name: example for example in findings.dataset.examples}
        self._media: dict[str, str] = {}
        self._left = MEDIA_CHARACTERS

    def examples(self, case: Case) -> list[Shown]:
        return [self._shown(name) for name in case.names[:TOGETHER]]

    def _shown(self, name: str) -> Shown:
        example = self._examples.get(name)
        if example is None:
            return Shown(name)
        label, split = excerpt(self._dataset.form.text(example.target), 48), example.split or ""
        if "text" in example.inputs:
            return Shown(name, label, split, text=excerpt(example.shown(), EXCERPT_CHARACTERS))
        make = {"image": thumbnail, "audio": clip}.get(self._dataset.kind)
        media, missing = self._medium(example, make) if make else ("", "not shown")
        return Shown(name, label, split, media, missing=missing)

    def _medium(self, example: Example, make: Callable[[Path], str]) -> tuple[str, str]:
        """Return a data URI, or why there is none."""
        if self._left <= 0:
            return "", "left out, so that the page stays small"
        if example.name not in self._media:
            try:
                self._media[example.name] = make(Path(next(iter(example.inputs.values()))))
            except HeadstartError:
                return "", "the file can no longer be read"
        self._left -= len(self._media[example.name])
        return self._media[example.name], ""
