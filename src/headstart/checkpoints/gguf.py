"""Read a GGUF file of llama.cpp: its metadata, and its tensors as floats.

Layout (little-endian): `GGUF`, version u32, number of tensors u64, of metadata entries u64; each entry's key, type
u32 and value; each tensor's name, rank u32, sizes u64 (the fastest first), type u32 and offset u64 into the data,
which begins at the next multiple of the alignment. A string is its length u64 and that many bytes.
Quantised tensors are blocks of 32 values: Q8_0 a scale f16 and int8; Q4_0 a scale and half bytes less 8; Q4_1 a scale,
a minimum and half bytes. The low half bytes of a block come before the high ones.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, `ggml/src/ggml-common.h`
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from headstart.checkpoints.contract import Checkpoint, Cursor, array, only_file, reading

_VERSIONS = (2, 3)
_RANK_AT_MOST = 8
_ALIGNMENT = 32
_BLOCK = 32

_STRING, _ARRAY = 8, 9
_NUMBERS = {0: "u1", 1: "i1", 2: "u2", 3: "i2", 4: "u4", 5: "i4", 6: "f4", 7: "?", 10: "u8", 11: "i8", 12: "f8"}
_PLAIN = {0: "float32", 1: "float16", 30: "bfloat16"}
_QUANTISED = {
    2: np.dtype([("scale", "<f2"), ("codes", "u1", 16)]),
    3: np.dtype([("scale", "<f2"), ("least", "<f2"), ("codes", "u1", 16)]),
    8: np.dtype([("scale", "<f2"), ("codes", "i1", 32)]),
}


def read(path: Path) -> Checkpoint:
    """Read all tensors; quantised ones become float32. `metadata` holds the file's entries by key.

    Raises:
        CheckpointError: the file is damaged, of another version, or quantised in a way that is not read here.
    """
    file = only_file(path, ".gguf")
    with reading(file):
        data = file.read_bytes()
        cursor = Cursor(data)
        if bytes(cursor.take(4)) != b"GGUF" or (version := cursor.number("I")) not in _VERSIONS:
            raise ValueError("it is not a GGUF file of version 2 or 3")
        tensors, entries = cursor.number("Q"), cursor.number("Q")
        metadata = {_text(cursor): _value(cursor, cursor.number("I")) for _ in range(entries)}
        described = [_description(cursor) for _ in range(tensors)]
        alignment = metadata.get("general.alignment", _ALIGNMENT)
        start = math.ceil(cursor.at / alignment) * alignment
        found = {name: _tensor(data, start + offset, kind, shape) for name, shape, kind, offset in described}
        if not found:
            raise ValueError("it holds no tensors")
        return Checkpoint(found, {"version": version, **metadata})


def _text(cursor: Cursor) -> str:
    return bytes(cursor.take(cursor.number("Q"))).decode()


def _value(cursor: Cursor, kind: int) -> Any:
    if kind == _STRING:
        return _text(cursor)
    if kind != _ARRAY:
        return np.frombuffer(cursor.take(np.dtype(_NUMBERS[kind]).itemsize), f"<{_NUMBERS[kind]}")[0].item()
    kind, count = cursor.number("I"), cursor.number("Q")
    if kind in _NUMBERS:
        size = np.dtype(_NUMBERS[kind]).itemsize
        return np.frombuffer(cursor.take(count * size), f"<{_NUMBERS[kind]}").tolist()
    return [_value(cursor, kind) for _ in range(count)]


def _description(cursor: Cursor) -> tuple[str, list[int], int, int]:
    name, rank = _text(cursor), cursor.number("I")
    if rank > _RANK_AT_MOST:
        raise ValueError(f"the tensor {name!r} claims {rank} axes")
    shape = [cursor.number("Q") for _ in range(rank)][::-1]
    return name, shape, cursor.number("I"), cursor.number("Q")


def _tensor(data: bytes, at: int, kind: int, shape: list[int]) -> np.ndarray:
    cursor = Cursor(data)
    cursor.take(at)
    count = math.prod(shape)
    if kind in _PLAIN:
        size = 4 if kind == 0 else 2
        return array(cursor.take(count * size), _PLAIN[kind], shape)
    if kind not in _QUANTISED:
        raise ValueError(f"its quantisation of type {kind} is not read here")
    if not shape or shape[-1] % _BLOCK:
        raise ValueError(f"a tensor of shape {shape} does not consist of blocks of {_BLOCK}")
    blocks = np.frombuffer(cursor.take(count // _BLOCK * _QUANTISED[kind].itemsize), _QUANTISED[kind])
    return _dequantised(blocks, kind).reshape(shape)


def _dequantised(blocks: np.ndarray, kind: int) -> np.ndarray:
    """Return float32 values, [blocks, 32]."""
    scale = blocks["scale"].astype(np.float32)[:, None]
    if kind == 8:
        return scale * blocks["codes"]
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=1).astype(np.float32)
    if kind == 2:
        return scale * (codes - 8)
    return scale * codes + blocks["least"].astype(np.float32)[:, None]
