"""Texts without a letter, a digit or a picture sign: nothing can be learnt from them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from headstart.checking.checks.contract import LEAVE_OUT, Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence


class EmptyTexts(Check):
    name = "empty-texts"
    kinds = ("text",)

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        cases = tuple(
            Case((example.name,), suggestion=LEAVE_OUT)
            for example in evidence.examples
            if not any(map(_says_something, str(example.inputs["text"])))
        )
        if cases:
            yield Problem(
                "empty-texts", "Texts that say nothing", "Leave them out, or look for what was lost on the way.",
                Severity.LEARNING, cases,
            )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        return evidence.changed(0, inputs={"text": " ... ?!"})


def _says_something(character: str) -> bool:
    """Say whether a character is a letter, a number or a symbol such as an emoji."""
    return unicodedata.category(character)[0] in "LNS"


check = EmptyTexts()
