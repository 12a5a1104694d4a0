"""Write files so that a kill or a full disk leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headstart.errors import MachineError, NoSpace


def write_durably(path: Path, data: bytes | memoryview) -> None:
    """Write to a temporary name, reach the disk, then rename: the file appears whole or not at all.

    Raises:
        NoSpace: the disk cannot hold it; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with saying_what_failed(path, len(data)):
        try:
            with temporary.open("wb") as file:
                _reserve(file.fileno(), len(data))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def saying_what_failed(path: Path, needed_bytes: int) -> Iterator[None]:
    """Turn what the system says of a failed write into an error with path, needed and free bytes."""
    try:
        yield
    except Exception as error:
        code = _system_code(error)
        if code is None:
            raise
        if code in (errno.ENOSPC, errno.EDQUOT):
            raise no_space(path, needed_bytes) from error
        raise MachineError(
            f"`{path}` cannot be written: {os.strerror(code)}", "check the folder and its rights"
        ) from error


def _system_code(error: Exception) -> int | None:
    """Return what the system said, also where a library in Rust (safetensors) has made a sentence of it."""
    if isinstance(error, OSError):
        return error.errno
    said = re.search(r"\(os error (\d+)\)", str(error))
    return int(said[1]) if said else None


def no_space(path: Path, needed_bytes: int) -> NoSpace:
    """Return the error for a disk that cannot hold `needed_bytes` at `path`."""
    free = shutil.disk_usage(path.parent).free
    return NoSpace(
        f"the disk is full: `{path}` needs {needed_bytes:,} bytes and {free:,} are free",
        "free some space, or set HEADSTART_CACHE to a folder on a larger disk",
    )


def _reserve(descriptor: int, size: int) -> None:
    """Learn of a full disk before writing, where the system can say it."""
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


def _sync_folder(folder: Path) -> None:
    """A rename lasts only when its folder has reached the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
