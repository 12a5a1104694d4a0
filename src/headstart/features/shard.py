"""One file of cached rows: written once, checksummed, then only mapped for reading.

A shard is a safetensors file, so that any tool can open it. Of each name it holds either one array [n, ...], or for
a ragged name the rows end to end, [sum of T, ...], with `offsets` [n + 1]. Its metadata name the example of each row,
so that a damaged catalogue cannot make one example's features pass for another's.
"""

from __future__ import annotations

import json
import mmap
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xxhash

from headstart.durable import write_durably
from headstart.errors import DataError

Row = dict[str, np.ndarray]

_DTYPES = {
    "F16": np.float16,
    "F32": np.float32,
    "I64": np.int64,
    "I32": np.int32,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def write_shard(folder: Path, rows: Sequence[Row], ragged: Sequence[str], examples: Sequence[str]) -> tuple[Path, str]:
    """Write one row an example to a new file in `folder`, and return it and its checksum, which is in its name."""
    from safetensors.numpy import save

    arrays: dict[str, np.ndarray] = {}
    for name in rows[0]:
        parts = [row[name] for row in rows]
        whole = np.concatenate(parts) if name in ragged else np.stack(parts)
        # Rows of a transposed tensor come out transposed, and safetensors writes memory as it lies.
        arrays[name] = np.ascontiguousarray(whole)
    long = next((name for name in ragged if name in rows[0]), None)
    if long:
        lengths = [len(row[long]) for row in rows]
        arrays["offsets"] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    data = save(arrays, metadata={"examples": " ".join(examples)})
    checksum = xxhash.xxh3_128(data).hexdigest()
    path = folder / f"{checksum}-{uuid.uuid4().hex[:8]}.safetensors"
    write_durably(path, data)
    return path, checksum


def checksum_in(path: Path) -> str:
    """Return the checksum that a shard had when it was named."""
    return path.stem.partition("-")[0]


def examples_of(path: Path) -> tuple[str, ...]:
    """Return the hashes of a shard's examples in order, as it says itself; none where it is too damaged to say."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, path.stat().st_size)))
        return tuple(header["__metadata__"]["examples"].split())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


class Shard:
    """A finished shard, memory-mapped for reading. Its checksum is verified before the first row is read.

    Raises:
        DataError: the file is not what was written.
    """

    def __init__(self, path: Path, checksum: str, ragged: Sequence[str]) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if xxhash.xxh3_128(self._map).hexdigest() != checksum:
            raise DataError(f"the cache file `{path}` is damaged", "it will be computed again")
        self._ragged = frozenset(ragged)
        self._path, self._examples = path, ()
        self._arrays = dict(self._views())

    def require(self, positions: Mapping[str, int]) -> None:
        """Make sure that these examples lie where the catalogue says.

        Raises:
            DataError: a row is another example's.
        """
        for example, position in positions.items():
            if self._examples[position : position + 1] != (example,):
                raise DataError(
                    f"the catalogue does not fit the cache file `{self._path}`", "it will be computed again"
                )

    def row(self, index: int) -> Row:
        """Return the arrays of one row; they are views of the mapped file."""
        row = {}
        for name, array in self._arrays.items():
            if name == "offsets":
                continue
            if name in self._ragged:
                start, stop = self._arrays["offsets"][index : index + 2]
                row[name] = array[start:stop]
            else:
                row[name] = array[index]
        return row

    def _views(self):
        length = int.from_bytes(self._map[:8], "little")
        header = json.loads(self._map[8 : 8 + length])
        self._examples = tuple(header.pop("__metadata__", {}).get("examples", "").split())
        for name, entry in header.items():
            start, stop = (8 + length + offset for offset in entry["data_offsets"])
            array = np.frombuffer(self._map, dtype=np.uint8, count=stop - start, offset=start)
            yield name, array.view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
