"""Each mistake gets one message with the cause and the way out, and the page says exactly that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mistakes import with_data, with_models  # noqa: F401  (they fill the catalogue)
from mistakes.catalogue import MISTAKES, Mistake, entry, meet

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "mistakes.md"


@pytest.mark.parametrize("one", MISTAKES, ids=lambda one: one.what)
def test_a_mistake_is_answered_with_its_cause_and_the_way_out(one: Mistake) -> None:
    outcome = meet(one)
    assert outcome.code in (1, 2)
    assert re.findall("^(error|hint): ", outcome.said, re.MULTILINE) == ["error", "hint"]
    assert "Traceback" not in outcome.said
    assert "bug in headstart" not in outcome.said
    assert not outcome.printed
    assert not outcome.left
    assert entry(one, outcome) in PAGE.read_text("utf-8"), "run scripts/docs"


def test_the_page_lists_the_catalogue_and_nothing_else() -> None:
    shown = re.findall(r"^(.+) \(exit code \d\):$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert shown == [one.what for one in MISTAKES]
    assert len(set(shown)) == len(shown) >= 60
