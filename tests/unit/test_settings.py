from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from headstart.errors import CheckpointError
from headstart.settings import require_fitting

LABELS = [f"class {number:02}" for number in range(12)]
SETTINGS = SimpleNamespace(freeze=1, task=SimpleNamespace(output_names=LABELS))


def test_the_order_of_the_names_in_a_file_does_not_matter_their_numbers_do() -> None:
    written = {number: LABELS[number] for number in (0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9)}
    require_fitting(Path("model"), SETTINGS, blocks=2, names=written)
    with pytest.raises(CheckpointError, match="names the classes"):
        require_fitting(Path("model"), SETTINGS, blocks=2, names=written | {0: "class 01", 1: "class 00"})
