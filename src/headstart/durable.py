"""Write files and folders so that a kill or a full disk leaves either the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headstart.errors import HeadstartError, MachineError, NoSpace


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
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def folder_appears(folder: Path, needed_bytes: int = 0) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends, all in it reaches the disk and it is renamed to `folder`.

    Until then it lies in a hidden folder beside, where there is room for what is needed meanwhile. Where another
    process has made `folder` by then, that one stays: who calls this gives equal names to equal contents only.

    Args:
        needed_bytes: what is going to be written, for the error.

    Raises:
        NoSpace, MachineError: it cannot be written; nothing is left behind.
    """
    with saying_what_failed(folder, needed_bytes):
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=MAKING) as place:
            made = Path(place) / folder.name
            made.mkdir()
            yield made
            for path in (*made.rglob("*"), made):
                _let_read(path, as_in=made)
                sync(path)
            try:
                os.replace(made, folder)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            sync(folder.parent)


def _let_read(file: Path, *, as_in: Path) -> None:
    """Let those read a file who may read its folder: safetensors writes files for their owner alone."""
    if file.is_file() and not file.is_symlink():
        file.chmod(file.stat().st_mode | as_in.stat().st_mode & 0o444)


MAKING = ".making-"
"""What the names of folders begin with that are not whole yet."""


def remove_unfinished(folder: Path) -> None:
    """Remove from `folder` what killed writes have left in it. Nobody else may be writing there."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)
    for path in folder.glob(f"{MAKING}*"):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def saying_what_failed(path: Path, needed_bytes: int) -> Iterator[None]:
    """Turn what the system says of a failed write into an error with path, needed and free bytes."""
    try:
        yield
    except HeadstartError:
        raise
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
    """Return what the system said, also where a library has made a sentence of it (safetensors) or a list (shutil)."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    said = re.search(r"\(os error (\d+)\)|\[Errno (\d+)\]", str(error))
    return int(said[1] or said[2]) if said else None


def no_space(path: Path, needed_bytes: int) -> NoSpace:
    """Return the error for a disk that cannot hold `needed_bytes` at `path`."""
    free = shutil.disk_usage(next(folder for folder in path.parents if folder.exists())).free
    return NoSpace(
        f"the disk is full: `{path}` needs {needed_bytes:,} bytes and {free:,} are free",
        "free some space, or name a folder on a larger disk: HEADSTART_CACHE for the cache, --output-dir for a model",
    )


def _reserve(descriptor: int, size: int) -> None:
    """Learn of a full disk before writing, where the system can say it."""
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


def sync(path: Path) -> None:
    """Let a file reach the disk, or a folder: a rename lasts only when its folder has reached it too."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
