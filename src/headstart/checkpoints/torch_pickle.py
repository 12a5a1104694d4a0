"""Read a `torch.save` file without torch and without running anything: the only pickle code of the project.

A pickle is a program. It is read in two steps: its opcodes are checked against a list of harmless ones before
it starts, and each global that it names resolves to a stand-in below or is refused. No torch function, class
or module is ever looked up, so nothing of the file's choosing can be called.
Both layouts are read: the zip archive (torch >= 1.6), and the older pickles followed by raw storages.
Format: `torch/serialization.py` of https://github.com/pytorch/pytorch (`_legacy_load`, `_load`)
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.checkpoints.contract import Checkpoint, array, only_file, reading
from headstart.errors import UnsafeFile

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
PICKLE_BYTES_AT_MOST = 64 * 2**20

# Training scripts wrap the weights in one of these.
_WRAPPERS = ("state_dict", "model_state_dict", "model")

_OPCODES = {
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP", "NONE", "NEWTRUE", "NEWFALSE", "INT",
    "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "APPEND", "APPENDS",
    "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT",
    "LONG_BINPUT", "MEMOIZE", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "BINPERSID",
}  # fmt: skip
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: str
    length: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor before its bytes are known: a view of a storage, sizes and strides counted in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_ignored: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: _Tensor, *_ignored: Any) -> _Tensor:
    return tensor


# Strings stand for storage classes and dtypes: they cannot be called.
_GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", storage): dtype for storage, dtype in _STORAGES.items()},
    **{("torch", dtype): dtype for dtype in _STORAGES.values()},
}


def read(path: Path) -> Checkpoint:
    """Read a state dict, plain or wrapped (`{"state_dict": ...}`); what is not a tensor becomes `metadata`.

    Raises:
        UnsafeFile: the pickle names a global or uses an opcode that weights do not need; nothing has run.
        CheckpointError: the file is damaged, or holds no tensors.
    """
    file = only_file(path, ".pth", ".pt", ".bin", ".ckpt")
    with reading(file):
        with file.open("rb") as stream:
            magic = stream.read(4)
            stream.seek(0)
            root, storages = (_read_zip if magic == b"PK\x03\x04" else _read_legacy)(stream, file)
        weights, metadata = _unwrapped(root)
        tensors = {name: _resolve(value, storages) for name, value in weights.items()}
        if not tensors:
            raise ValueError("it holds no tensors")
        return Checkpoint(tensors, metadata)


def _unwrapped(root: Any) -> tuple[dict[str, _Tensor], dict[str, Any]]:
    """Split what was saved into its tensors by name and everything else."""
    if not isinstance(root, Mapping):
        raise ValueError("it holds no state dict")
    outer: dict[str, Any] = {}
    for wrapper in _WRAPPERS:
        if isinstance(root.get(wrapper), Mapping):
            outer = {str(key): value for key, value in root.items() if key != wrapper}
            root = root[wrapper]
            break
    tensors = {str(name): value for name, value in root.items() if isinstance(value, _Tensor)}
    rest = {str(name): value for name, value in root.items() if not isinstance(value, _Tensor)}
    return tensors, outer | rest


def _resolve(tensor: _Tensor, storages: Mapping[str, np.ndarray]) -> np.ndarray:
    storage = storages[tensor.storage.key]
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    if len(tensor.shape) != len(tensor.strides) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise ValueError(f"a tensor has the shape {tensor.shape} and the strides {tensor.strides}")
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    count = math.prod(tensor.shape)
    # A stride of 0 could make a small file fill the memory as soon as someone copies the view.
    if count > len(storage) or (count and last >= len(storage)):
        raise ValueError(f"a tensor of shape {tensor.shape} reaches beyond its storage of {len(storage)}")
    if not count:
        return np.empty(tensor.shape, storage.dtype)
    strides = [stride * storage.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides)


def _read_zip(stream: io.BufferedReader, file: Path) -> tuple[Any, dict[str, np.ndarray]]:
    with zipfile.ZipFile(stream) as archive:
        members = {info.filename: info for info in archive.infolist()}
        (program,) = (name for name in members if name.endswith("/data.pkl"))
        folder = program.removesuffix("data.pkl")
        if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("it was written on a big-endian machine")
        root, found = _unpickle(io.BytesIO(_stored(archive, members[program])), file)
        storages = {
            key: array(_stored(archive, members[f"{folder}data/{key}"]), storage.dtype, (storage.length,))
            for key, storage in found.items()
        }
    return root, storages


def _stored(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # torch never compresses; a compressed member could be a bomb.
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ValueError(f"its member {info.filename!r} is compressed")
    return archive.read(info)


def _read_legacy(stream: io.BufferedReader, file: Path) -> tuple[Any, dict[str, np.ndarray]]:
    buffer = io.BytesIO(stream.read())
    if _unpickle(buffer, file)[0] != LEGACY_MAGIC or _unpickle(buffer, file)[0] != LEGACY_PROTOCOL:
        raise ValueError("it is not a file that torch.save wrote")
    machine, _ = _unpickle(buffer, file)
    if machine.get("little_endian") is not True:
        raise ValueError("it was written on a big-endian machine")
    root, found = _unpickle(buffer, file)
    keys, _ = _unpickle(buffer, file)
    return root, {key: _raw_storage(buffer, found[key]) for key in keys}


def _raw_storage(buffer: io.BytesIO, storage: _Storage) -> np.ndarray:
    (length,) = struct.unpack("<q", buffer.read(8))
    if length != storage.length:
        raise ValueError(f"a storage of {storage.length} elements says it has {length}")
    itemsize = 2 if storage.dtype == "bfloat16" else np.dtype(storage.dtype).itemsize
    with buffer.getbuffer() as view:
        raw = view[buffer.tell() : buffer.tell() + length * itemsize]
        buffer.seek(len(raw), io.SEEK_CUR)
        return array(raw, storage.dtype, (length,))


def _unpickle(stream: io.BytesIO, file: Path) -> tuple[Any, dict[str, _Storage]]:
    """Run one harmless pickle and return its object and the storages that it refers to."""
    start = stream.tell()
    _check(stream, file)
    stream.seek(start)
    unpickler = _Unpickler(stream, file)
    return unpickler.load(), unpickler.storages


def _check(stream: io.BytesIO, file: Path) -> None:
    """Refuse the pickle at the stream's position, before it runs, unless it only does what weights need."""
    start = stream.tell()
    for opcode, argument, position in pickletools.genops(stream):
        if opcode.name not in _OPCODES:
            raise _unsafe(file, f"the pickle opcode {opcode.name}")
        if opcode.name == "GLOBAL":
            _stand_in(*str(argument).split(" ", 1), file=file)
        # The C unpickler allocates as many memo slots as the largest index says.
        if opcode.name in _PUTS and int(argument or 0) > (position or 0):
            raise ValueError("a memo index is larger than its pickle")
    if stream.tell() - start > PICKLE_BYTES_AT_MOST:
        raise ValueError("its pickle is larger than weights need")


def _stand_in(module: str, name: str, *, file: Path) -> Any:
    try:
        return _GLOBALS[module, name]
    except KeyError:
        raise _unsafe(file, f"{module}.{name}") from None


def _unsafe(file: Path, wanted: str) -> UnsafeFile:
    return UnsafeFile(
        f"`{file}` asks for `{wanted}`, which weights do not need; nothing in it was run",
        "use a safetensors file of the same weights, from a source you trust",
    )


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, file: Path) -> None:
        super().__init__(stream, encoding="utf-8")
        self._file = file
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        return _stand_in(module, name, file=self._file)

    def persistent_load(self, pid: Any) -> _Storage:
        """Read `("storage", class, key, device, length)`; the older layout adds a view: it must be None."""
        kind, dtype, key, _device, length, *view = pid
        if kind != "storage" or dtype not in _STORAGES.values() or any(part is not None for part in view):
            raise ValueError("it refers to a storage in an unknown way")
        storage = _Storage(str(key), dtype, int(length))
        return self.storages.setdefault(storage.key, storage)
