"""The demo is run by CI; here, that it can start at all."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from headstart import assets

DEMO = Path(__file__).parents[2] / "scripts" / "demo.py"


def test_every_part_names_assets_of_the_catalogue() -> None:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    assert demo.PARTS.keys() == demo.NEEDED.keys()
    assert {name for names in demo.NEEDED.values() for name in names} <= assets.catalogue().keys()
