"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from headstart.durable import folder_appears, saying_what_failed, write_durably
from headstart.errors import MachineError, NoSpace

# Every step of a write that a kill can fall on.
STEPS = ("posix_fallocate", "fsync", "replace")


def fail_with(code: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_the_file_holds_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "file with spaces é.bin"
    write_durably(path, b"first")
    write_durably(path, memoryview(b"second"))
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    write_durably(tmp_path / "empty", b"")
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_is_said_with_path_needed_and_free_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    monkeypatch.setattr(os, step, fail_with(code))
    with pytest.raises(NoSpace, match=r"needs 1,234 bytes and [\d,]+ are free") as caught:
        write_durably(path, bytes(1234))
    assert str(path) in caught.value.message
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    monkeypatch.setattr(os, step, fail_with(errno.EIO))
    with pytest.raises(MachineError, match="cannot be written"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught:
        write_durably(tmp_path / "absent" / "file", b"x")
    assert caught.value.hint


def test_a_system_without_reservation_writes_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    write_durably(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


def test_a_file_system_that_cannot_reserve_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", fail_with(errno.EOPNOTSUPP), raising=False)
    write_durably(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    child = os.fork()
    if not child:
        monkeypatch.setattr(os, step, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        write_durably(path, b"new")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert path.read_bytes() == b"old"
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_full_disk_is_recognised_in_what_safetensors_says(tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match="needs 7 bytes"), saying_what_failed(tmp_path / "model.safetensors", 7):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")


def test_what_the_system_did_not_say_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), saying_what_failed(tmp_path / "file", 7):
        raise ZeroDivisionError


def test_who_may_read_a_new_folder_may_read_its_files(tmp_path: Path) -> None:
    with folder_appears(tmp_path / "model") as made:
        made.chmod(0o750)
        (made / "weights").write_bytes(b"1")
        (made / "weights").chmod(0o600)
    assert (tmp_path / "model" / "weights").stat().st_mode & 0o777 == 0o640
