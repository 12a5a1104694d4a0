"""The reference says what the docstrings say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def generator():
    """Load `scripts/reference.py`, which is no package."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date(tmp_path):
    generator().main(tmp_path)
    for page in tmp_path.iterdir():
        written = (ROOT / "docs" / "reference" / page.name).read_text("utf-8")
        assert written == page.read_text("utf-8"), "run scripts/docs"


def test_every_public_name_is_explained():
    import headstart

    page = (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")
    for name in set(headstart.__all__) - {"__version__"}:
        (after,) = re.findall(rf"^## headstart\.{name}\n\n(.+)$", page, re.MULTILINE)
        assert not after.startswith("#"), name
