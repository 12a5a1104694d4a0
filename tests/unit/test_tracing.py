from __future__ import annotations

from pathlib import Path

import pytest

import headstart
from headstart.registry import plugins
from headstart.tracing import _file_of


@pytest.mark.parametrize("folder", ["backbones", "heads"])
def test_a_trace_names_files_that_exist(folder):
    for plugin in plugins(folder).values():
        network = plugin if folder == "backbones" else object.__new__(plugin)
        assert (Path(headstart.__file__).parent / _file_of(network)).is_file()
