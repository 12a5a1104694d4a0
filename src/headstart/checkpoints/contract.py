"""What every reader of a weight format promises.

A reader is a module of this folder with one function, `read(path) -> Checkpoint`, where `path` is a file or
the folder that holds it. It runs nothing that it finds in the file. Whatever is wrong with the bytes
(truncated, flipped, another format, sizes beyond the file) becomes a `CheckpointError` that names the file;
a file that wants to run code or leave its folder becomes an `UnsafeFile`.
"""

from __future__ import annotations

import importlib
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import CheckpointError, HeadstartError, UsageError, first_line, nearest

_OTHERS = ("contract", "conversion", "hub")
READERS = tuple(sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py") if file.stem not in _OTHERS))

_HINT = "obtain the file again, and check that nothing else writes to it"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights as they lie in a file, under the names of that file.

    Attributes:
        tensors: owned, aligned, writable arrays; bfloat16 is widened to float32, all else keeps its dtype.
        metadata: what else the file says, such as its configuration or format revision.
    """

    tensors: Mapping[str, np.ndarray]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read(path: Path, reader: str) -> Checkpoint:
    """Read the weights at `path` with the reader called `reader`.

    Raises:
        UsageError: there is no such reader.
        CheckpointError: the weights are damaged or in another format.
        UnsafeFile: the file wants to run code or to leave its folder.
    """
    if reader not in READERS:
        raise UsageError(f"there is no checkpoint reader `{reader}`", nearest(reader, READERS))
    checkpoint: Checkpoint = importlib.import_module(f"headstart.checkpoints.{reader}").read(Path(path))
    return checkpoint


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever damaged bytes provoke inside the block into a CheckpointError that names `path`."""
    try:
        yield
    except HeadstartError:
        raise
    except OSError as error:
        raise CheckpointError(f"`{path}` cannot be read: {error.strerror or error}", _HINT) from error
    # A parser fed with arbitrary bytes can fail in any way (struct, recursion, memory): it is damaged.
    except Exception as error:
        raise CheckpointError(f"`{path}` is damaged: {first_line(error)}", _HINT) from error


def files_of(path: Path, *suffixes: str) -> list[Path]:
    """Return `path` itself, or the files in it, as far as they end in one of `suffixes`."""
    return sorted(file for file in ([path] if path.is_file() else path.glob("*")) if file.suffix in suffixes)


def only_file(path: Path, *suffixes: str) -> Path:
    """Return `path` itself if it is a file, else the one file in it that ends in one of `suffixes`."""
    if path.is_file():
        return path
    found = files_of(path, *suffixes)
    if len(found) != 1:
        raise CheckpointError(
            f"`{path}` holds {len(found)} files that end in {' or '.join(suffixes)}",
            "name a folder with exactly one, or the file itself",
        )
    return found[0]


class Cursor:
    """A position in little-endian bytes that never moves past their end."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self.at = 0

    def take(self, size: int) -> memoryview:
        """Return the next `size` bytes."""
        if size > len(self._data) - self.at:
            raise ValueError(f"it ends within {size} bytes from {self.at}")
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self, code: str) -> int:
        """Return the next integer; `code` is that of the module struct."""
        (value,) = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))
        return int(value)


def array(raw: bytes | memoryview, dtype: str, shape: Sequence[int]) -> np.ndarray:
    """Return an owned array of `shape` from little-endian bytes; `bfloat16` becomes float32.

    Raises:
        ValueError: the bytes are not exactly what dtype and shape need.
    """
    stored = np.dtype("u2" if dtype == "bfloat16" else dtype).newbyteorder("<")
    if min(shape, default=0) < 0 or math.prod(shape) * stored.itemsize != len(raw):
        raise ValueError(f"{len(raw)} bytes cannot hold {list(shape)} of {dtype}")
    flat = np.frombuffer(raw, stored)
    if dtype == "bfloat16":
        return (flat.astype(np.uint32) << 16).view(np.float32).reshape(shape)
    return flat.astype(stored.newbyteorder("=")).reshape(shape)
