"""Readers of weight formats: what they read, and that damage or malice ends in one documented error."""

from __future__ import annotations

import json
import pickle
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from headstart.checkpoints.contract import READERS, read
from headstart.errors import CheckpointError, UnsafeFile, UsageError

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
MUTANTS = 300


def write_safetensors(folder: Path) -> Path:
    from safetensors.numpy import save_file

    save_file({"layer.weight": WEIGHT}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "toy"}')
    return folder / "model.safetensors"


def write_torch(folder: Path, *, zipped: bool = False) -> Path:
    import torch

    state = {"layer.weight": torch.from_numpy(WEIGHT.copy())}
    torch.save(state, folder / "weights.pth", _use_new_zipfile_serialization=zipped)
    return folder / "weights.pth"


def write_ctranslate2(folder: Path) -> Path:
    def name(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    data = struct.pack("<I", 6) + name("ToySpec") + struct.pack("<II", 3, 1)
    data += name("layer/weight") + struct.pack("<BIIBI", 2, 2, 3, 0, WEIGHT.nbytes) + WEIGHT.tobytes()
    data += struct.pack("<I", 1) + name("tied/weight") + name("layer/weight")
    (folder / "model.bin").write_bytes(data)
    return folder / "model.bin"


def write_onnx(folder: Path) -> Path:
    def field(number: int, value: bytes | int) -> bytes:
        if isinstance(value, int):
            return bytes([number << 3, value])
        return bytes([number << 3 | 2]) + bytes([len(value)]) + value

    tensor = field(1, 2) + field(1, 3) + field(2, 1) + field(8, b"onnx::MatMul_7") + field(9, WEIGHT.tobytes())
    node = field(1, b"x") + field(1, b"onnx::MatMul_7") + field(3, b"/layer/MatMul")
    (folder / "net.onnx").write_bytes(field(1, 8) + field(7, field(1, node) + field(5, tensor)))
    return folder / "net.onnx"


def write_tflite(folder: Path) -> Path:
    """Write one constant, which an operator makes a second tensor of."""

    def tensor(name: bytes, buffer: int) -> Table:
        return [[2, 3], 0, buffer, name]

    operator = [0, [0], [1]]
    graph = [[tensor(b"layer/weight", 1), tensor(b"halved", 0)], [], [1], [operator]]
    model = [3, [[6, None, None, 6]], [graph], None, [[None], [WEIGHT.tobytes()]]]
    data = bytearray(struct.pack("<I", 8) + b"TFL3")
    _append(data, model)
    (folder / "net.tflite").write_bytes(data)
    return folder / "net.tflite"


Table = list  # of fields: a number, bytes, a list of numbers or of tables, or None


def _append(data: bytearray, fields: Table) -> int:
    """Append a table of a flatbuffer, its vtable behind it, and what it refers to; return where it is."""
    at = len(data)
    data += bytes(4 + 4 * len(fields))
    struct.pack_into("<i", data, at, at - len(data))
    places = [0 if field is None else 4 + 4 * number for number, field in enumerate(fields)]
    data += struct.pack(f"<{2 + len(fields)}H", 4 + 2 * len(fields), 4 + 4 * len(fields), *places)
    for number, field in enumerate(fields):
        if isinstance(field, int):
            struct.pack_into("<i", data, at + 4 + 4 * number, field)
        elif field is not None:
            struct.pack_into("<I", data, at + 4 + 4 * number, len(data) - (at + 4 + 4 * number))
            _append_vector(data, field)
    return at


def _append_vector(data: bytearray, field: bytes | list) -> None:
    data += struct.pack("<I", len(field))
    if isinstance(field, bytes):
        data += field
        return
    start = len(data)
    data += bytes(4 * len(field))
    for number, one in enumerate(field):
        place = start + 4 * number
        struct.pack_into("<i", data, place, one if isinstance(one, int) else _append(data, one) - place)


def write_gguf(folder: Path) -> Path:
    return write_gguf_tensor(folder, 0, (2, 3), WEIGHT.tobytes())


def write_gguf_tensor(folder: Path, kind: int, shape: tuple[int, ...], raw: bytes) -> Path:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    entries = text("general.name") + struct.pack("<I", 8) + text("toy")
    entries += text("general.alignment") + struct.pack("<II", 4, 64)
    entries += text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    entries += text("scores") + struct.pack("<IIQ2f", 9, 6, 2, 0.5, 1.5)
    described = text("layer.weight") + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    data = b"GGUF" + struct.pack("<IQQ", 3, 1, 4) + entries + described + struct.pack("<IQ", kind, 0)
    (folder / "net.gguf").write_bytes(data + bytes(-len(data) % 64) + raw)
    return folder / "net.gguf"


WRITERS = {
    "tflite": write_tflite,
    "gguf": write_gguf,
    "safetensors_folder": write_safetensors,
    "torch_pickle": write_torch,
    "ctranslate2": write_ctranslate2,
    "onnx_initialisers": write_onnx,
}


@pytest.mark.parametrize("reader", READERS)
def test_reads_what_was_written(reader: str, tmp_path: Path) -> None:
    WRITERS[reader](tmp_path)
    tensors = read(tmp_path, reader).tensors
    first = next(iter(tensors.values()))
    np.testing.assert_array_equal(first, WEIGHT)
    assert first.flags.writeable
    assert first.flags.aligned


@pytest.mark.parametrize("reader", READERS)
def test_damage_is_one_documented_error(reader: str, tmp_path: Path) -> None:
    file = WRITERS[reader](tmp_path)
    original = file.read_bytes()
    draw = random.Random(0)
    refused = 0
    for _ in range(MUTANTS):
        mutant = bytearray(original)
        for _ in range(draw.randint(1, 4)):
            mutant[draw.randrange(len(mutant))] = draw.randrange(256)
        if draw.random() < 0.3:
            del mutant[draw.randrange(len(mutant)) :]
        file.write_bytes(mutant)
        try:
            read(file, reader)
        except (CheckpointError, UnsafeFile) as error:
            refused += file.name in error.message
    assert refused > MUTANTS // 10


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\xff" * 64])
def test_another_format_is_refused(reader: str, content: bytes, tmp_path: Path) -> None:
    file = WRITERS[reader](tmp_path)
    file.write_bytes(content)
    with pytest.raises((CheckpointError, UnsafeFile)):
        read(tmp_path, reader)


@pytest.mark.parametrize("reader", READERS)
def test_an_empty_folder_is_refused(reader: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        read(tmp_path, reader)


def test_a_misspelt_reader_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="torch_pickle"):
        read(Path(), "torch_pickl")


def test_safetensors_shards_and_config(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": WEIGHT}, tmp_path / "one.safetensors")
    save_file({"b": WEIGHT}, tmp_path / "two.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    (tmp_path / "config.json").write_text('{"model_type": "toy"}')
    checkpoint = read(tmp_path, "safetensors_folder")
    assert sorted(checkpoint.tensors) == ["a", "b"]
    assert checkpoint.metadata == {"model_type": "toy"}

    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "c": "two.safetensors"}}))
    with pytest.raises(CheckpointError, match="`c`"):
        read(tmp_path, "safetensors_folder")
    index.write_text(json.dumps({"weight_map": {"a": "../one.safetensors"}}))
    with pytest.raises(UnsafeFile, match="outside"):
        read(tmp_path, "safetensors_folder")


@pytest.mark.parametrize("zipped", [False, True])
def test_torch_views_wrappers_and_dtypes(zipped: bool, tmp_path: Path) -> None:
    import torch

    values = torch.arange(12.0).reshape(3, 4)
    state = {
        "view": values[1:, :2].t(),
        "half": values.to(torch.bfloat16),
        "parameter": torch.nn.Parameter(values),
        "count": torch.tensor(3),
    }
    saved = {"epoch": 2, "state_dict": state}
    torch.save(saved, tmp_path / "weights.pth", _use_new_zipfile_serialization=zipped)
    checkpoint = read(tmp_path, "torch_pickle")
    assert checkpoint.metadata == {"epoch": 2}
    assert checkpoint.tensors["half"].dtype == np.float32
    for name, tensor in state.items():
        np.testing.assert_array_equal(checkpoint.tensors[name], tensor.detach().float().numpy())


class _Canary:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_malicious_pickle_is_refused_before_it_runs(zipped: bool, protocol: int, tmp_path: Path) -> None:
    import torch

    canary = tmp_path / "canary"
    torch.save(
        {"weight": _Canary(canary)},
        tmp_path / "weights.pth",
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(UnsafeFile, match="nothing in it was run"):
        read(tmp_path, "torch_pickle")
    assert not canary.exists()


@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "INST"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00.", None),
    ],
)
def test_bare_hostile_pickles_are_refused(program: bytes, wanted: str | None, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(program)
    with pytest.raises(UnsafeFile if wanted else CheckpointError, match=wanted):
        read(file, "torch_pickle")


def test_a_huge_memo_index_does_not_fill_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"\x80\x02Nr\xff\xff\xff\x7f.")
    with pytest.raises(CheckpointError, match="memo"):
        read(file, "torch_pickle")


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    file = write_torch(tmp_path)
    # The offset 0 of the tensor becomes 5: the view of six values now ends beyond its storage.
    original = file.read_bytes()
    mutant = original.replace(b"QK\x00K\x02K\x03\x86", b"QK\x05K\x02K\x03\x86")
    assert mutant != original
    file.write_bytes(mutant)
    with pytest.raises(CheckpointError, match="beyond its storage"):
        read(file, "torch_pickle")


def test_a_pickle_that_is_not_weights_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError):
        read(file, "torch_pickle")


def test_onnx_names_anonymous_weights_after_their_node(tmp_path: Path) -> None:
    write_onnx(tmp_path)
    assert list(read(tmp_path, "onnx_initialisers").tensors) == ["layer.MatMul.1"]


def test_tflite_lists_the_operators_by_the_names_of_their_tensors(tmp_path: Path) -> None:
    checkpoint = read(write_tflite(tmp_path), "tflite")
    assert list(checkpoint.tensors) == ["layer/weight"]
    assert checkpoint.metadata == {
        "inputs": [],
        "outputs": ["halved"],
        "operators": [{"operator": "dequantize", "inputs": ["layer/weight"], "outputs": ["halved"]}],
    }


def test_gguf_metadata(tmp_path: Path) -> None:
    assert read(write_gguf(tmp_path), "gguf").metadata == {
        "version": 3,
        "general.name": "toy",
        "general.alignment": 64,
        "tokens": ["a", "b"],
        "scores": [0.5, 1.5],
    }


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 8, 30])
def test_gguf_gives_the_values_that_were_quantised(kind: int, tmp_path: Path) -> None:
    codes = np.arange(64, dtype=np.int64).reshape(2, 32) % 16
    half = (codes[:, :16] | codes[:, 16:] << 4).astype(np.uint8)
    scale, least = np.float16(0.25), np.float16(-1.5)
    expected = {2: 0.25 * (codes - 8), 3: 0.25 * codes - 1.5}.get(kind, 0.25 * codes)
    rows = {
        2: [scale.tobytes() + row.tobytes() for row in half],
        3: [scale.tobytes() + least.tobytes() + row.tobytes() for row in half],
        8: [scale.tobytes() + row.astype(np.int8).tobytes() for row in codes],
        0: [expected.astype("<f4").tobytes()],
        1: [expected.astype("<f2").tobytes()],
        30: [(expected.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()],
    }[kind]
    file = write_gguf_tensor(tmp_path, kind, (2, 32), b"".join(rows))
    np.testing.assert_array_equal(read(file, "gguf").tensors["layer.weight"], expected)


def test_gguf_refuses_a_quantisation_that_it_does_not_know(tmp_path: Path) -> None:
    file = write_gguf_tensor(tmp_path, 14, (2, 32), bytes(64))
    with pytest.raises(CheckpointError, match="type 14"):
        read(file, "gguf")


def test_ctranslate2_resolves_aliases(tmp_path: Path) -> None:
    write_ctranslate2(tmp_path)
    checkpoint = read(tmp_path, "ctranslate2")
    assert checkpoint.metadata == {"spec": "ToySpec", "revision": 3}
    assert checkpoint.tensors["tied/weight"] is checkpoint.tensors["layer/weight"]
