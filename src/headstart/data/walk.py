"""List the files of a folder in a fixed order, whatever the folder holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"}


def walk(folder: Path) -> Iterator[Path]:
    """Yield all files below `folder`, sorted by path; hidden and system files are left out.

    Links are followed, each folder is entered once on the way down (so a link to a parent ends there), and
    folders that may not be listed are passed over.
    """
    yield from _walk(folder, frozenset())


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
    except OSError:
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for entry in entries(folder):
        if is_folder(entry):
            yield from _walk(entry, above | {identity})
        elif is_file(entry):
            yield entry


def folders(folder: Path) -> list[Path]:
    """Return the visible folders directly inside `folder`, sorted by name."""
    return [entry for entry in entries(folder) if is_folder(entry)]


def entries(folder: Path) -> list[Path]:
    """Return what is visible directly inside `folder`, sorted by name; nothing where it may not be listed."""
    try:
        return sorted(filter(_is_visible, folder.iterdir()))
    except OSError:
        return []


def _is_visible(path: Path) -> bool:
    return not path.name.startswith(".") and path.name.lower() not in SYSTEM_NAMES


def is_file(path: Path) -> bool:
    """Say whether `path` is a file; False for any name that the system refuses (pathlib raises on some)."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112


def printable(name: str) -> str:
    """Return a file name as text that can be encoded, with bytes that are not UTF-8 written as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def relative_name(path: Path, root: Path) -> str:
    """Return the name of the example in file `path`: its printable path below `root`, with slashes."""
    return printable(path.relative_to(root).as_posix())
