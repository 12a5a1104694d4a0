"""Read the tensors and operators of a TensorFlow Lite model, without running it.

A flatbuffer is little-endian. A table begins with its distance back to a vtable, which holds its own size u16, the
table's size u16, and for each field its place in the table u16, 0 where the field has its default. Strings and
vectors are references: a distance u32 from where it stands; a vector begins with its length u32.
Format: https://flatbuffers.dev/internals, `tensorflow/compiler/mlir/lite/schema/schema.fbs`
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from headstart.checkpoints.contract import Checkpoint, array, only_file, reading

# Field numbers of schema.fbs.
_MODEL_CODES, _MODEL_GRAPHS, _MODEL_BUFFERS = 1, 2, 4
_GRAPH_TENSORS, _GRAPH_INPUTS, _GRAPH_OUTPUTS, _GRAPH_OPERATORS = 0, 1, 2, 3
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME = 0, 1, 2, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 0, 1, 2
_CODE_OLD, _CODE = 0, 3
_BUFFER_DATA = 0

_DTYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}
_OPERATORS = {0: "add", 2: "concatenation", 3: "conv_2d", 4: "depthwise_conv_2d", 6: "dequantize"}
_COUNT_AT_MOST = 1 << 20


def read(path: Path) -> Checkpoint:
    """Read all constant tensors of the first graph by name.

    `metadata["operators"]` lists the operators in the order in which they run: `operator` (its name, or its number
    where none is known here), and the names of its `inputs` and `outputs`; `metadata["inputs"]` and
    `metadata["outputs"]` are those of the graph. An input that is left out is called "".

    Raises:
        CheckpointError: the file is damaged or of another format.
    """
    file = only_file(path, ".tflite")
    with reading(file):
        data = file.read_bytes()
        if data[4:8] != b"TFL3":
            raise ValueError("it is not a TensorFlow Lite model")
        model = _Table(memoryview(data), _reference(memoryview(data), 0))
        graph = model.tables(_MODEL_GRAPHS)[0]
        tensors = graph.tables(_GRAPH_TENSORS)
        names = [tensor.text(_TENSOR_NAME) for tensor in tensors]
        codes = [max(code.number(_CODE_OLD, "b"), code.number(_CODE, "i")) for code in model.tables(_MODEL_CODES)]
        constants = _constants(tensors, model.tables(_MODEL_BUFFERS))
        return Checkpoint(
            {names[place]: constant for place, constant in constants.items()},
            {
                "inputs": _named(graph.numbers(_GRAPH_INPUTS), names),
                "outputs": _named(graph.numbers(_GRAPH_OUTPUTS), names),
                "operators": [_operator(operator, codes, names) for operator in graph.tables(_GRAPH_OPERATORS)],
            },
        )


def _constants(tensors: list[_Table], buffers: list[_Table]) -> dict[int, np.ndarray]:
    found = {}
    for place, tensor in enumerate(tensors):
        raw = buffers[tensor.number(_TENSOR_BUFFER, "I")].raw(_BUFFER_DATA)
        kind = tensor.number(_TENSOR_TYPE, "b")
        if len(raw) and kind in _DTYPES:
            found[place] = array(raw, _DTYPES[kind], tensor.numbers(_TENSOR_SHAPE))
    if not found:
        raise ValueError("it holds no tensors")
    return found


def _operator(table: _Table, codes: list[int], names: list[str]) -> dict[str, Any]:
    code = codes[table.number(_OPERATOR_CODE, "I")]
    return {
        "operator": _OPERATORS.get(code, str(code)),
        "inputs": _named(table.numbers(_OPERATOR_INPUTS), names),
        "outputs": _named(table.numbers(_OPERATOR_OUTPUTS), names),
    }


def _named(places: list[int], names: list[str]) -> list[str]:
    return ["" if place == -1 else names[place] for place in places]


class _Table:
    """A table of a flatbuffer; reads never leave the file."""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data, self._at = data, at
        vtable = at - _number(data, at, "i")
        size = _number(data, vtable, "H")
        self._fields = [_number(data, vtable + place, "H") for place in range(4, size, 2)]

    def number(self, field: int, code: str) -> int:
        """Return a scalar, 0 where it is left out."""
        at = self._place(field)
        return _number(self._data, at, code) if at else 0

    def numbers(self, field: int) -> list[int]:
        """Return a vector of int32."""
        start, count = self._vector(field)
        return [_number(self._data, start + 4 * place, "i") for place in range(count)]

    def raw(self, field: int) -> memoryview:
        """Return a vector of bytes."""
        start, count = self._vector(field, most=len(self._data))
        if start + count > len(self._data):
            raise ValueError(f"it ends within {count} bytes from {start}")
        return self._data[start : start + count]

    def text(self, field: int) -> str:
        return bytes(self.raw(field)).decode()

    def tables(self, field: int) -> list[_Table]:
        """Return a vector of tables."""
        start, count = self._vector(field)
        places = range(start, start + 4 * count, 4)
        return [_Table(self._data, _reference(self._data, place)) for place in places]

    def _place(self, field: int) -> int:
        inside = self._fields[field] if field < len(self._fields) else 0
        return self._at + inside if inside else 0

    def _vector(self, field: int, most: int = _COUNT_AT_MOST) -> tuple[int, int]:
        at = self._place(field)
        if not at:
            return 0, 0
        start = _reference(self._data, at)
        count = _number(self._data, start, "I")
        if count > most:
            raise ValueError(f"it claims a vector of {count} entries")
        return start + 4, count


def _reference(data: memoryview, at: int) -> int:
    return at + _number(data, at, "I")


def _number(data: memoryview, at: int, code: str) -> int:
    if at < 0:
        raise ValueError("a reference leads out of the file")
    (value,) = struct.unpack_from(f"<{code}", data, at)
    return int(value)
