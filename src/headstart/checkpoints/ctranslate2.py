"""Read the `model.bin` of a CTranslate2 model.

Layout (little-endian): format version u32; specification name; revision u32; number of variables u32; then
for each its name, rank u8, sizes u32, dtype u8, bytes u32 and data; then the number of aliases u32, each
alias and its target. A name is its length u16 and that many bytes, the last of them zero.
Source: `ctranslate2/specs/model_spec.py` (`ModelSpec._serialize`) of https://github.com/OpenNMT/CTranslate2
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.checkpoints.contract import Checkpoint, Cursor, array, only_file, reading

_DTYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
_VERSIONS = range(4, 7)


def read(path: Path) -> Checkpoint:
    """Read all variables and aliases; `metadata` holds `spec` (such as `WhisperSpec`) and `revision`.

    Raises:
        CheckpointError: the file is damaged or of another format version.
    """
    file = only_file(path, ".bin")
    with reading(file):
        cursor = Cursor(file.read_bytes())
        version = cursor.number("I")
        if version not in _VERSIONS:
            raise ValueError(f"its format version {version} is not one of 4 to 6")
        metadata = {"spec": _name(cursor), "revision": cursor.number("I")}
        tensors = dict(_variable(cursor) for _ in range(cursor.number("I")))
        for _ in range(cursor.number("I")):
            alias, target = _name(cursor), _name(cursor)
            tensors[alias] = tensors[target]
        return Checkpoint(tensors, metadata)


def _variable(cursor: Cursor) -> tuple[str, np.ndarray]:
    name = _name(cursor)
    shape = [cursor.number("I") for _ in range(cursor.number("B"))]
    dtype = _DTYPES[cursor.number("B")]
    return name, array(cursor.take(cursor.number("I")), dtype, shape)


def _name(cursor: Cursor) -> str:
    return bytes(cursor.take(cursor.number("H"))).rstrip(b"\0").decode()
