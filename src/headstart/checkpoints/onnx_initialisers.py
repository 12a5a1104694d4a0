"""Read the initialisers (the weights) of an ONNX file, without running its graph.

Only the wire format of protocol buffers and four messages are needed: ModelProto, GraphProto, NodeProto and
TensorProto.
Format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from headstart.checkpoints.contract import Checkpoint, array, only_file, reading

# Field numbers of onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_NAME = 1, 3
_TENSOR_DIMS, _TENSOR_DTYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9

_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    16: "bfloat16",
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Fields = Iterator[tuple[int, int | memoryview]]


def read(path: Path) -> Checkpoint:
    """Read all initialisers.

    PyTorch's exporter leaves some of them nameless (`onnx::MatMul_1980`), such as the transposed weight of a
    linear layer. Those are named after the node that reads them and the place among its inputs:
    `encoder.layer.0.mlp.fc1.MatMul.1`.

    Raises:
        CheckpointError: the file is damaged, or keeps its weights in another file.
    """
    file = only_file(path, ".onnx")
    with reading(file):
        graph = _message(file.read_bytes(), _MODEL_GRAPH)
        tensors: dict[str, np.ndarray] = {}
        readers: dict[str, str] = {}
        for number, value in _fields(graph):
            if number == _GRAPH_INITIALIZER:
                name, tensor = _tensor(_bytes(value))
                tensors[name] = tensor
            elif number == _GRAPH_NODE:
                readers |= _inputs(_bytes(value))
        if not tensors:
            raise ValueError("its graph has no initialisers")
        return Checkpoint({_given_name(name, readers): tensor for name, tensor in tensors.items()})


def _given_name(name: str, readers: dict[str, str]) -> str:
    return readers.get(name, name) if name.startswith("onnx::") else name


def _inputs(node: memoryview) -> dict[str, str]:
    """Return what each input of a node is called by that node: `scope.Operator.place`."""
    name, inputs = "", []
    for number, value in _fields(node):
        if number == _NODE_INPUT:
            inputs.append(_text(value))
        elif number == _NODE_NAME:
            name = _text(value).strip("/").replace("/", ".")
    return {read: f"{name}.{place}" for place, read in enumerate(inputs)}


def _tensor(message: memoryview) -> tuple[str, np.ndarray]:
    name, dtype, raw = "", 0, memoryview(b"")
    shape: list[int] = []
    for number, value in _fields(message):
        if number == _TENSOR_DIMS:
            shape += [value] if isinstance(value, int) else _varints(value)
        elif number == _TENSOR_DTYPE:
            dtype = _number(value)
        elif number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_RAW:
            raw = _bytes(value)
    if dtype not in _DTYPES:
        raise ValueError(f"the dtype {dtype} of the initialiser {name!r} is not supported")
    return name, array(raw, _DTYPES[dtype], shape)


def _number(value: int | memoryview) -> int:
    if isinstance(value, int):
        return value
    raise ValueError("a number was expected")


def _message(data: bytes, wanted: int) -> memoryview:
    for number, value in _fields(memoryview(data)):
        if number == wanted:
            return _bytes(value)
    raise ValueError("it is not an ONNX model")


def _fields(message: memoryview) -> Fields:
    """Yield number and value of each field of a message: an int, or the bytes it holds."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"it holds the unknown wire type {wire}")
        if size > len(message) - at:
            raise ValueError(f"field {number} is longer than its message")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("it ends within a number")


def _varints(packed: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        values.append(value)
    return values


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number stands where bytes belong")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode()
