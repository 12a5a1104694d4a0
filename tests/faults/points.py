"""Where a process can die or a disk can fail: every call that changes a file, counted in a forked child.

The child is forked after the imports, so that a point costs what its run costs, and not the seconds that PyTorch takes
to load. What libraries in C and Rust write themselves is seen from outside: before it, and with the file cut in half.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

CALLS = ("fsync", "replace", "rename", "posix_fallocate", "mkdir", "unlink", "rmdir")
KILLED, DONE, FAILED = -signal.SIGKILL, 0, 3


class Points:
    """Counts calls; at number `at`, `fault` is called, before the call or in the middle of a write."""

    def __init__(self, fault: Callable[[], None], at: int, *, below: Path) -> None:
        self._fault, self._at, self._below = fault, at, str(below)
        self.seen = 0

    def install(self) -> None:
        """Stand in for the functions of this process; only a forked child may do this."""
        for name in CALLS:
            setattr(os, name, self._before(getattr(os, name)))
        io.open = self._watched(io.open)
        for module in ("safetensors.torch", "safetensors.numpy"):
            library = sys.modules.get(module)
            if library:
                library.save_file = self._torn(library.save_file)

    def reached(self, tear: Callable[[], object] = lambda: None) -> None:
        self.seen += 1
        if self.seen == self._at:
            tear()
            self._fault()

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.reached()
            return call(*arguments, **options)

        return counted

    def _watched(self, open_file: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if not set(mode) & set("wax") or not str(file).startswith(self._below):
                return open_file(file, mode, *arguments, **options)
            self.reached()
            return _File(open_file(file, mode, *arguments, **options), self)

        return opened

    def _torn(self, save_file: Callable[..., Any]) -> Callable[..., Any]:
        def saved(tensors: Any, filename: Any, *arguments: Any, **options: Any) -> Any:
            self.reached()
            result = save_file(tensors, filename, *arguments, **options)
            self.reached(lambda: os.truncate(filename, Path(filename).stat().st_size // 2))
            return result

        return saved


class _File:
    """A file whose every write is a point, at which half of the data is on the disk."""

    def __init__(self, file: Any, points: Points) -> None:
        self._file, self._points = file, points

    def write(self, data: Any) -> int:
        def half() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._points.reached(half)
        return int(self._file.write(data))

    def __enter__(self) -> _File:
        self._file.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def failing(code: int) -> Callable[[], None]:
    """Return a fault in which the system reports an error."""

    def fail() -> None:
        raise OSError(code, os.strerror(code))

    return fail


no_space, broken_disk = failing(errno.ENOSPC), failing(errno.EIO)


def forked(work: Callable[[], object], *, seconds: int = 60) -> int:
    """Run `work` in a forked child and return its exit status: KILLED, DONE or FAILED, another signal negated."""
    child = os.fork()
    if not child:
        status = FAILED
        try:
            signal.alarm(seconds)
            work()
            status = DONE
        except BaseException:  # noqa: BLE001  (a child must never return into pytest)
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def count(work: Callable[[], object], *, below: Path) -> int:
    """Return how many points `work` passes, having run it in a child."""
    reader, writer = os.pipe()

    def counted() -> None:
        points = Points(lambda: None, 0, below=below)
        points.install()
        work()
        os.write(writer, str(points.seen).encode())

    status = forked(counted)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    assert status == DONE
    return int(said)


def killed_at(at: int, work: Callable[[], object], *, below: Path) -> int:
    """Run `work` in a child that dies at point number `at`, and return its exit status."""

    def dying() -> None:
        Points(die, at, below=below).install()
        work()

    return forked(dying)


def spread(count: int, wanted: int) -> list[int]:
    """Return `wanted` numbers from 1 to `count`, evenly spread; all of them where there are fewer."""
    wanted = min(count, wanted)
    return sorted({1 + round(i * (count - 1) / max(wanted - 1, 1)) for i in range(wanted)})
