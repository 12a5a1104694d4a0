"""Small files that stand for very much: each is refused in time, before it unfolds."""

from __future__ import annotations

import gzip
import json
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.checkpoints.contract import read
from headstart.data import media
from headstart.data.dataset import open_dataset
from headstart.errors import HeadstartError
from hostile.formats import FORMATS
from unit.test_checkpoints import write_gguf_tensor
from unit.test_data_media import png_header

SECONDS_AT_MOST = 2.0
BYTES_AT_MOST = 512 << 20
SMALL = 4 << 20  # bytes of a bomb


def png(folder: Path) -> Path:
    (folder / "a.png").write_bytes(png_header(60_000, 60_000))
    return folder / "a.png"


def png_text(folder: Path) -> Path:
    """A picture of one pixel with a compressed comment of 256 MB."""
    whole = FORMATS["png"].seeds(folder)[0]
    body = b"Comment\0\0" + zlib.compress(bytes(256 << 20), 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    (folder / "a.png").write_bytes(whole[:33] + chunk + whole[33:])
    return folder / "a.png"


def gif(folder: Path) -> Path:
    """A first frame of 65,535 pixels a side."""
    data = bytearray(FORMATS["gif"].seeds(folder)[0])
    struct.pack_into("<HH", data, 6, 65_535, 65_535)
    (folder / "a.gif").write_bytes(data)
    return folder / "a.gif"


def gif_frames(folder: Path) -> Path:
    """Many frames outside a small canvas; only the first is ever decoded."""
    from PIL import Image

    frames = [Image.new("P", (512, 512), number % 256) for number in range(400)]
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:])
    return folder / "a.gif"


def webp(folder: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (8_192, 8_192)).save(folder / "a.webp", method=0)
    return folder / "a.webp"


def bmp(folder: Path) -> Path:
    data = bytearray(FORMATS["bmp"].seeds(folder)[0])
    struct.pack_into("<ii", data, 18, 100_000, 100_000)
    (folder / "a.bmp").write_bytes(data)
    return folder / "a.bmp"


def jpeg(folder: Path) -> Path:
    data = bytearray(FORMATS["jpeg"].seeds(folder)[0])
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 65_500, 65_500)
    (folder / "a.jpg").write_bytes(data)
    return folder / "a.jpg"


def tiff(folder: Path) -> Path:
    from PIL import Image

    Image.new("L", (20_000, 20_000)).save(folder / "a.tif", compression="tiff_deflate")
    return (folder / "a.tif").rename(folder / "a.png")


def flac(folder: Path) -> Path:
    """Two hours of silence."""
    import soundfile

    with soundfile.SoundFile(folder / "a.flac", "w", 8_000, 1) as file:
        for _ in range(120):
            file.write(np.zeros(8_000 * 60, np.int16))
    return folder / "a.flac"


def ogg(folder: Path) -> Path:
    import soundfile

    with soundfile.SoundFile(folder / "a.ogg", "w", 8_000, 1) as file:
        for _ in range(65):
            file.write(np.zeros(8_000 * 60, np.float32))
    return folder / "a.ogg"


def wav(folder: Path) -> Path:
    """A header that claims a sample a second and 4 GiB of them."""
    data = bytearray(FORMATS["wav"].seeds(folder)[0])
    struct.pack_into("<I", data, 24, 1)
    struct.pack_into("<I", data, data.index(b"data") + 4, 0xFFFFFFFE)
    (folder / "a.wav").write_bytes(data)
    return folder / "a.wav"


def wav_channels(folder: Path) -> Path:
    data = bytearray(FORMATS["wav"].seeds(folder)[0])
    struct.pack_into("<H", data, 22, 65_535)
    (folder / "a.wav").write_bytes(data)
    return folder / "a.wav"


def workbook(folder: Path) -> Path:
    whole = FORMATS["xlsx"].seeds(folder)[0]
    (folder / "a.xlsx").write_bytes(whole)
    with zipfile.ZipFile(folder / "a.xlsx", "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"xl/media/{number}", bytes(100 << 20))
    return folder / "a.xlsx"


def workbook_entities(folder: Path) -> Path:
    """The billion laughs, in the sheet."""
    target = FORMATS["xlsx-sheet"]
    entities = b'<!ENTITY a "ha">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
    )
    sheet = (
        b"<!DOCTYPE x [" + entities + b"]><worksheet><sheetData><row><c><v>&j;</v></c></row></sheetData></worksheet>"
    )
    (folder / "a.xlsx").write_bytes(target.packed(sheet))
    return folder / "a.xlsx"


def parquet(folder: Path) -> Path:
    """One value, a hundred million times."""
    import pyarrow
    from pyarrow import parquet

    values = pyarrow.array(["a long text " * 40]).dictionary_encode()
    indices = pyarrow.array(np.zeros(20_000_000, np.int8))
    column = pyarrow.DictionaryArray.from_arrays(indices, values.dictionary)
    parquet.write_table(pyarrow.table({"text": column, "label": column}), folder / "a.parquet")
    return folder / "a.parquet"


def zipped_table(folder: Path) -> Path:
    (folder / "a.csv").write_bytes(gzip.compress(b"text,label\n" + b"a,b\n" * (64 << 20), 9)[: SMALL - 1])
    return folder / "a.csv"


def nested_json(folder: Path) -> Path:
    (folder / "a.jsonl").write_text('{"text": ' + "[" * 1_000_000 + "]" * 1_000_000 + ', "label": "a"}\n')
    return folder / "a.jsonl"


def long_cell(folder: Path) -> Path:
    (folder / "a.csv").write_text('text,label\n"' + "a" * (3 << 20) + "\n" * 1000)
    return folder / "a.csv"


def safetensors_header(folder: Path) -> Path:
    (folder / "a.safetensors").write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
    return folder / "a.safetensors"


def safetensors_shape(folder: Path) -> Path:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 4]}}).encode()
    (folder / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    return folder / "a.safetensors"


def gguf_counts(folder: Path) -> Path:
    (folder / "a.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60) + bytes(100))
    return folder / "a.gguf"


def gguf_shape(folder: Path) -> Path:
    return write_gguf_tensor(folder, 0, (1 << 31, 1 << 31), bytes(16))


def torch_zip(folder: Path) -> Path:
    """A storage of zeros, compressed."""
    with zipfile.ZipFile(folder / "a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("a/data/0", bytes(256 << 20))
    return folder / "a.pth"


def torch_stride(folder: Path) -> Path:
    """A tensor of a million million elements over a storage of one: strides of 0."""
    import torch

    torch.save({"a": torch.zeros(1).expand(1 << 20, 1 << 20)}, folder / "a.pth")
    return folder / "a.pth"


def tflite(folder: Path) -> Path:
    data = bytearray(FORMATS["tflite"].seeds(folder)[0])
    at = data.index(b"layer/weight") - 4
    struct.pack_into("<I", data, at, 0x7FFFFFFF)
    (folder / "a.tflite").write_bytes(data)
    return folder / "a.tflite"


def onnx_external(folder: Path) -> Path:
    """An initialiser that says its bytes lie in another file, `/dev/zero`."""

    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    entry = field(1, b"location") + field(2, b"/dev/zero")
    tensor = b"\x08\x02\x08\x03\x10\x01" + field(8, b"w") + field(13, entry) + b"\x70\x01"
    (folder / "a.onnx").write_bytes(field(7, field(5, tensor)))
    return folder / "a.onnx"


def _checkpoint(reader: str) -> Callable[[Path], object]:
    return lambda path: read(path, reader)


DATA = open_dataset
BOMBS: dict[Callable[[Path], Path], Callable[[Path], object]] = {
    png: media.open_image, png_text: media.open_image, gif: media.open_image, webp: media.open_image,
    bmp: media.open_image, jpeg: media.open_image, tiff: media.open_image, flac: media.open_audio,
    ogg: media.open_audio, wav: media.open_audio, wav_channels: media.open_audio, workbook: DATA,
    workbook_entities: DATA, parquet: DATA, zipped_table: DATA, nested_json: DATA, long_cell: DATA,
    safetensors_header: _checkpoint("safetensors_folder"), safetensors_shape: _checkpoint("safetensors_folder"),
    gguf_counts: _checkpoint("gguf"), gguf_shape: _checkpoint("gguf"), torch_zip: _checkpoint("torch_pickle"),
    torch_stride: _checkpoint("torch_pickle"), tflite: _checkpoint("tflite"),
    onnx_external: _checkpoint("onnx_initialisers"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("write", BOMBS, ids=lambda write: write.__name__)
def test_a_bomb_is_refused_in_time(write: Callable[[Path], Path], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path)
    assert path.stat().st_size <= SMALL
    Path("/proc/self/clear_refs").write_text("5")
    before, started = in_use("VmRSS"), time.process_time()
    with pytest.raises(HeadstartError):
        BOMBS[write](path)
    assert time.process_time() - started <= SECONDS_AT_MOST
    assert in_use("VmHWM") - before <= BYTES_AT_MOST


@pytest.mark.slow
def test_of_an_animation_the_first_frame_alone_is_decoded(tmp_path: Path) -> None:
    path = gif_frames(tmp_path)
    started = time.process_time()
    assert media.open_image(path).size == (512, 512)
    assert time.process_time() - started < 1


def in_use(what: str) -> int:
    """Return a figure of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))
