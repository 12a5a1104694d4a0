"""A full or failing disk at any write: an error with path, needed and free bytes, and nothing half-written."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from caches import fill, names, shards
from points import DONE, Points, broken_disk, count, forked, no_space

from headstart.errors import MachineError, NoSpace

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
NAMES = names(40)


def refused(work: Callable[[], object], error: type[MachineError], *, below: Path) -> None:
    """Run what the system may refuse, and look at what is said."""
    try:
        work()
    except error as caught:
        said = caught
    else:
        return
    assert str(below) in said.message
    assert said.hint
    if error is NoSpace:
        assert re.search(r"needs [\d,]+ bytes and [\d,]+ are free", said.message)


def failing(folder: Path, fault: Callable[[], None], error: type[MachineError], at: int) -> None:
    Points(fault, at, below=folder).install()
    refused(partial(fill, folder, NAMES), error, below=folder)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "error"), [(no_space, NoSpace), (broken_disk, MachineError)])
def test_at_every_call_an_error_says_it_and_the_rest_is_computed_later(
    tmp_path: Path, fault: Callable[[], None], error: type[MachineError]
) -> None:
    points = count(partial(fill, tmp_path / "whole", NAMES), below=tmp_path)
    assert points >= 60
    for at in range(1, points + 1):
        folder = tmp_path / "cache"
        assert forked(partial(failing, folder, fault, error, at)) == DONE, f"point {at} of {points}"
        assert not [path for path in folder.glob("*/*") if path.suffix == ".tmp"]
        fill(folder, NAMES)
        assert fill(folder, NAMES) == 0
        shutil.rmtree(folder)


def limited(folder: Path, size: int) -> None:
    """Let the system refuse to make any file longer than `size`, what SQLite writes included."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    refused(partial(fill, folder, NAMES), MachineError, below=folder)


@pytest.mark.slow
def test_a_file_that_may_not_grow_any_further_is_an_error_whoever_writes_it(tmp_path: Path) -> None:
    """SIGBUS, which a map over a file without space would give, or another signal fails this."""
    for size in range(0, 40_000, 300):
        folder = tmp_path / "cache"
        assert forked(partial(limited, folder, size)) == DONE, f"limit {size}"
        fill(folder, NAMES)
        shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB in memory, where this user may mount one; else a folder that is never full."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(place)]
    mounted = shutil.which("mount") and subprocess.run(command, capture_output=True, check=False).returncode == 0
    yield place
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
def test_a_small_disk_that_fills_up_keeps_what_was_stored(small_disk: Path) -> None:
    many = names(1500)
    status = forked(partial(refused, partial(fill, small_disk / "cache", many), NoSpace, below=small_disk))
    assert status == DONE
    full = shutil.disk_usage(small_disk).total < 1 << 20
    kept = len(shards(small_disk / "cache"))
    assert kept < len(many) / 4 if full else kept
    if full:  # room is made, and the pass goes on with what it had
        for path in shards(small_disk / "cache")[: kept // 2]:
            path.unlink()
        assert fill(small_disk / "cache", many[:8]) <= 8


def as_another_user(folder: Path) -> None:
    """Try to use a cache that may only be read, as a user who is not root and for whom that matters."""
    os.setuid(65534) if os.getuid() == 0 else None
    refused(partial(fill, folder, NAMES), MachineError, below=folder)
    with pytest.raises(MachineError, match="HEADSTART_CACHE"):
        fill(folder, names(50))


def test_a_cache_that_may_only_be_read_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    fill(folder, NAMES)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        for parent in (tmp_path, *tmp_path.parents):
            if parent.stat().st_uid == os.getuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o111)
        assert forked(partial(as_another_user, folder)) == DONE
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o700)
