"""Data that are objects of Python, not files: written once to the cache folder, and read from there like any other."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import xxhash

from headstart.data.walk import walk
from headstart.durable import folder_appears, saying_what_failed
from headstart.errors import UsageError
from headstart.place import copies_folder, given_path


def data_path(data: Any) -> Path:
    """Return where data lie: a path as it is given, and for a data set of Hugging Face's `datasets` a folder.

    The folder is named by what it holds, so that the same object is written once and another one is another folder.

    Args:
        data: a path, a `datasets.Dataset` or a `datasets.DatasetDict`.

    Raises:
        UsageError: it is something else, empty, or the address of something on a network.
    """
    if isinstance(data, str | os.PathLike):
        return given_path(data, what="the data")
    # Whoever made such an object has loaded the package; it need not be loaded to recognise one.
    datasets = sys.modules.get("datasets")
    if datasets is None or not isinstance(data, datasets.Dataset | datasets.DatasetDict):
        raise UsageError(
            f"a `{type(data).__name__}` is no data that can be read",
            "give the path of a folder or a table, or a Dataset or DatasetDict of the package datasets",
        )
    return _saved(data)


def _saved(data: Any) -> Path:
    kept = copies_folder()
    with saying_what_failed(kept / "data", 0), tempfile.TemporaryDirectory(dir=kept, prefix=".saving-") as place:
        data.save_to_disk(place)
        target = kept / _digest(Path(place))
        if not target.exists():
            with folder_appears(target) as made:
                for path in Path(place).iterdir():
                    path.rename(made / path.name)
    return target


def _digest(folder: Path) -> str:
    """Return a hash of the names and bytes of the tables in a folder; its state files name moments and processes."""
    digest = xxhash.xxh3_128()
    for file in walk(folder):
        if file.suffix == ".arrow":
            digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
    return digest.hexdigest()
