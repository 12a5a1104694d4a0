"""Starting costs next to nothing: what is heavy is loaded by whoever uses it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "numpy", "sklearn", "scipy", "PIL", "soundfile", "matplotlib", "openvino"}


def loaded_by(statements):
    """Return the top-level modules that a fresh process has loaded after `statements`."""
    code = f"{statements}\nimport sys, json; sys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in json.loads(done.stderr)}


@pytest.mark.parametrize(
    "statements",
    [
        "import headstart; headstart.__version__; dir(headstart)",
        "from headstart import Recipe, HeadstartError",
        "from headstart.cli import application; application()(['--help'], standalone_mode=False)",
        "from headstart.cli import application; application()(['models'], standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_loaded(statements):
    assert not HEAVY & loaded_by(statements)


def test_help_takes_little_time():
    def cpu_seconds():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = cpu_seconds()
    command = [sys.executable, "-m", "headstart", "--help"]
    subprocess.run(command, capture_output=True, check=True, timeout=60)
    # It takes 0.16 s; 0.3 s are promised, and a busy machine may need twice that for the same work.
    assert cpu_seconds() - before < 0.6


def test_public_names_are_there():
    import headstart

    assert all(getattr(headstart, name) is not None for name in headstart.__all__)
    with pytest.raises(AttributeError, match="`fits`"):
        _ = headstart.fits
