"""Small valid files of every format that is read, and the call that reads each: what the mutants are made of."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hostile.mutator import Mutator, repaired_ogg, repaired_png
from samples import reviews, tone, write_table


@dataclass(frozen=True)
class Target:
    """One format.

    Attributes:
        file: the file that is damaged, inside the folder that is read.
        seeds: writes whatever else the folder needs, and returns valid contents of the file.
        read: reads the file, however much of the folder that takes.
        packed: puts a damaged part back into its file, where the mutants are of a part.
    """

    file: str
    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path], Any]
    mutator: Mutator = Mutator()
    packed: Callable[[bytes], bytes] | None = None


# --- pictures ---------------------------------------------------------------------------------------------------------


def _pictures(format: str, *variants: dict[str, Any]) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        return [_picture(format, dict(variant)) for variant in variants]

    return seeds


def _picture(format: str, options: dict[str, Any]) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert(options.pop("mode", "RGB"))
    if options.pop("exif", False):
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = 6, "a description"
        options["exif"] = exif
    if options.get("save_all"):
        options["append_images"] = [image.rotate(90), image.rotate(180)]
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _read_picture(file: Path) -> None:
    from headstart.data.media import open_image

    assert open_image(file).mode == "RGB"


def _image(ending: str, *variants: dict[str, Any], **mutator: Any) -> Target:
    format = {"jpg": "JPEG"}.get(ending, ending.upper())
    return Target(f"photo.{ending}", _pictures(format, *variants), _read_picture, Mutator(**mutator))


# --- recordings -------------------------------------------------------------------------------------------------------


def _recordings(ending: str, *variants: tuple[int, int, str | None]) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        import soundfile

        found = []
        for rate, channels, subtype in variants:
            samples = np.stack([tone(440, 0.1, rate)] * channels, axis=1)
            soundfile.write(folder / f"seed.{ending}", samples, rate, subtype=subtype)
            found.append((folder / f"seed.{ending}").read_bytes())
            (folder / f"seed.{ending}").unlink()
        return found

    return seeds


def _read_recording(file: Path) -> None:
    from headstart.data.media import audio_seconds, open_audio
    from headstart.errors import UnreadableFile

    try:
        assert audio_seconds(file) > 0
    finally:
        try:
            assert np.isfinite(open_audio(file, max_seconds=30)).all()
        except UnreadableFile:
            open_audio(file)


def _audio(ending: str, *variants: tuple[int, int, str | None], **mutator: Any) -> Target:
    return Target(f"sound.{ending}", _recordings(ending, *variants), _read_recording, Mutator(**mutator))


# --- tables -----------------------------------------------------------------------------------------------------------


def _read_data(file: Path) -> None:
    from headstart.data.dataset import open_dataset
    from headstart.data.inputs import open_inputs
    from headstart.errors import DataError

    os.environ["HEADSTART_CACHE"] = str(file.parent.parent / "cache")
    from headstart.data.targets import ClassNames
    from headstart.tasks.tagging import TagLists

    source = file.parent if file.suffix == ".arrow" or file.name == "state.json" else file
    try:
        if source == file:
            open_inputs([file], "text")
    except DataError:
        pass
    open_dataset(source, forms=[TagLists() if file.suffix == ".conll" else ClassNames()])


def _table(ending: str, tokens: tuple[bytes, ...], **mutator: Any) -> Target:
    def seeds(folder: Path) -> list[bytes]:
        path = folder / f"seed.{ending}"
        quoted = [{"text": 'with, "quotes"\nand lines', "label": "positive"}]
        found = [write_table(path, rows).read_bytes() for rows in (reviews(8), [*reviews(4), *quoted])]
        path.unlink()
        return found

    return Target(f"table.{ending}", seeds, _read_data, Mutator(tokens, **mutator))


def _conll(folder: Path) -> list[bytes]:
    return ["\n\n".join(f"EU{n} NNP B-ORG\nrejects VBZ O" for n in range(6)).encode(), b"-DOCSTART- O\n\na B-X\nb O\n"]


def _arrow_rows() -> Any:
    import pyarrow

    features = {"label": {"_type": "ClassLabel", "names": ["bad", "good"]}, "image": {"_type": "Image"}}
    cell = {"bytes": _picture("PNG", {}), "path": None}
    rows = [{"text": f"text {n}", "image": cell, "label": n % 2, "split": None} for n in range(6)]
    described = {"huggingface": json.dumps({"info": {"features": features}})}
    return pyarrow.Table.from_pylist(rows).replace_schema_metadata(described)


def _parquet(folder: Path) -> list[bytes]:
    from pyarrow import BufferOutputStream, parquet

    found = []
    for options in ({}, {"compression": "zstd", "use_dictionary": False}, {"compression": "none", "version": "1.0"}):
        stream = BufferOutputStream()
        parquet.write_table(_arrow_rows(), stream, **options)
        found.append(stream.getvalue().to_pybytes())
    return found


def _saved_dataset(folder: Path) -> list[bytes]:
    import pyarrow

    (folder / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}', encoding="utf-8")
    stream = pyarrow.BufferOutputStream()
    table = _arrow_rows()
    with pyarrow.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return [stream.getvalue().to_pybytes()]


def _workbook(folder: Path) -> list[bytes]:
    from datetime import date

    import openpyxl

    book, buffer = openpyxl.Workbook(), io.BytesIO()
    for row in [["text", "label"], *([f"text {n}", n % 2] for n in range(5)), [date(2026, 1, 2), True]]:
        book.active.append(row)
    book.save(buffer)
    return [buffer.getvalue()]


def _workbook_part(part: str) -> Target:
    """Return the target of one part of a workbook, which is zipped again with the right check sums."""
    (whole,) = _workbook(Path())
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    def packed(data: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in {**parts, part: data}.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    tokens = (b"<c r=", b't="s"', b't="d"', b"<!DOCTYPE x [", b"&amp;", b"]]>", b'<row r="9999999">', b"1E+400")
    return Target("table.xlsx", lambda folder: [parts[part]], _read_data, Mutator(tokens), packed)


# --- weights ----------------------------------------------------------------------------------------------------------


def _checkpoint(reader: str, *writers: Callable[[Path], Path], tokens: tuple[bytes, ...] = ()) -> Target:
    from unit.test_checkpoints import WRITERS

    def seeds(folder: Path) -> list[bytes]:
        found = []
        for write in writers or (WRITERS[reader],):
            path = write(folder)
            found.append(path.read_bytes())
            path.unlink()
        return found

    def read(file: Path) -> None:
        from headstart.checkpoints.contract import read

        read(file, reader)

    return Target(f"weights{ENDINGS[reader]}", seeds, read, Mutator(tokens))


ENDINGS = {
    "tflite": ".tflite", "gguf": ".gguf", "safetensors_folder": ".safetensors", "torch_pickle": ".pth",
    "ctranslate2": ".bin", "onnx_initialisers": ".onnx",
}  # fmt: skip


def _torch(*, zipped: bool) -> Target:
    def write(folder: Path) -> Path:
        import torch

        state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4).half(), "c": torch.tensor(3)}
        saved = {"state_dict": state, "epoch": 2, "note": "a text"}
        torch.save(saved, folder / "weights.pth", _use_new_zipfile_serialization=zipped)
        return folder / "weights.pth"

    tokens = (
        b"cos\nsystem\n",
        b"R",
        b"\x93",
        b"c__builtin__\neval\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"Q",
        b"b",
    )
    return _checkpoint("torch_pickle", write, tokens=tokens)


# --- folders of models ------------------------------------------------------------------------------------------------


def _network(family: str, file: str) -> Target:
    def seeds(folder: Path) -> list[bytes]:
        from networks import write_network

        write_network(folder, family)
        return [(folder / file).read_bytes()]

    def read(file: Path) -> None:
        from headstart.backbones import open_backbone

        backbone = open_backbone(file.parent)
        if family == "bert":
            from headstart.types import Example

            backbone.preprocess.decode(Example("row 1", {"text": "a good film"}))

    return Target(file, seeds, read, Mutator(json=file.endswith(".json"), tokens=_JSON))


def _saved_model(file: str) -> Target:
    def seeds(folder: Path) -> list[bytes]:
        write_model(folder)
        return [(folder / file).read_bytes()]

    def read(file: Path) -> None:
        from headstart import api

        if file.name == "headstart.json":
            assert set(_loaded(file.parent).record.data.get("trained_on", ())) is not None
        else:
            assert api.load(file.parent, device="cpu").predict(["a good film"])

    tokens = (b"[[", b"]]", b"'''", b"inf", b"nan", b"1979-05-27", b"0x7fffffffffffffff", b"{", b"\\uD800")
    return Target(file, seeds, read, Mutator(json=file.endswith(".json"), tokens=tokens))


@cache
def _loaded(folder: Path) -> Any:
    from headstart import api

    return api.load(folder, device="cpu")


def write_model(folder: Path) -> None:
    """Write a tiny adapted text model, as `fit` does."""
    from headstart import api
    from headstart import model as model_module
    from networks import write_examples, write_network

    os.environ["HEADSTART_CACHE"] = str(folder.parent / "cache")
    verify, model_module._verify = model_module._verify, lambda *_: None
    try:
        network, data = write_network(folder.parent / "network"), write_examples(folder.parent / "examples", "text")
        settings = {"keep": "all", "freeze": 2, "epochs": 1, "baselines": False, "cache": False}
        api.fit(data, backbone=str(network), output_dir=folder.parent / "model", **settings)
    finally:
        model_module._verify = verify
    for path in sorted((folder.parent / "model").iterdir()):
        if path.is_file():
            path.rename(folder / path.name)


_JSON = (b"{", b"[", b'"', b"\\ud800", b"null", b"1e999", b"-", b"//", b"\xff\xfe", b"\xef\xbb\xbf")
_CSV = (b'"', b",", b";", b"\t", b"\r", b"\n", b"\0", b"=1+1", b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xa8")

FORMATS: dict[str, Target] = {
    "png": _image(
        "png", {}, {"mode": "P"}, {"mode": "RGBA"}, {"mode": "I;16"}, {"save_all": True}, {"exif": True}, {"mode": "1"},
        tokens=(b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"IEND"),
        repair=repaired_png,
    ),
    "jpeg": _image(
        "jpg", {}, {"exif": True}, {"mode": "L"}, {"mode": "CMYK"}, {"progressive": True}, {"quality": 95},
        tokens=(b"\xff\xd8", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xda", b"\xff\xdd", b"\xff\xe1", b"\xff\xd9"),
    ),
    "webp": _image(
        "webp", {}, {"lossless": True}, {"mode": "RGBA"}, {"save_all": True}, {"exif": True},
        tokens=(b"RIFF", b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"EXIF", b"ICCP"),
    ),
    "gif": _image("gif", {}, {"mode": "P"}, {"save_all": True}, {"mode": "1"}, tokens=(b"GIF89a", b"\x21\xf9\x04")),
    "bmp": _image("bmp", {}, {"mode": "P"}, {"mode": "1"}, {"mode": "L"}, tokens=(b"BM", b"\x28\0\0\0", b"\x7c\0\0\0")),
    "wav": _audio(
        "wav", (8000, 1, "PCM_16"), (16000, 2, "FLOAT"), (8000, 1, "ULAW"), (8000, 1, "IMA_ADPCM"), (8000, 1, "GSM610"),
        (8000, 2, "MS_ADPCM"), (48000, 1, "PCM_24"),
        tokens=(b"RIFF", b"RIFX", b"WAVE", b"fmt ", b"data", b"LIST", b"fact", b"\x11\0", b"\x31\0", b"\xfe\xff"),
    ),
    "flac": _audio("flac", (8000, 1, None), (44100, 2, None), (16000, 1, "PCM_24"), tokens=(b"fLaC", b"\xff\xf8")),
    "ogg": _audio(
        "ogg", (8000, 1, "VORBIS"), (48000, 2, "OPUS"), (44100, 2, "VORBIS"),
        tokens=(b"OggS", b"\x01vorbis", b"\x03vorbis", b"\x05vorbis", b"OpusHead", b"OpusTags"), repair=repaired_ogg,
    ),
    "mp3": _audio(
        "mp3", (8000, 1, None), (44100, 2, None),
        tokens=(b"ID3", b"\xff\xfb", b"\xff\xf3", b"Xing", b"Info", b"LAME", b"TAG", b"APETAGEX"),
    ),
    "csv": _table("csv", _CSV),
    "tsv": _table("tsv", _CSV),
    "jsonl": _table("jsonl", _JSON),
    "conll": Target("table.conll", _conll, _read_data, Mutator((b"\n\n", b" ", b"B-", b"-DOCSTART-", b"\0", b"\xff"))),
    "parquet": Target("table.parquet", _parquet, _read_data, Mutator((b"PAR1", b"ARROW:schema", b"\x15\x80"))),
    "saved-dataset": Target("data.arrow", _saved_dataset, _read_data, Mutator((b"\xff\xff\xff\xff", b"huggingface"))),
    "xlsx": Target("table.xlsx", _workbook, _read_data, Mutator((b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"))),
    "xlsx-sheet": _workbook_part("xl/worksheets/sheet1.xml"),
    "xlsx-styles": _workbook_part("xl/styles.xml"),
    "safetensors": _checkpoint("safetensors_folder", tokens=(b"F32", b"BF16", b"data_offsets", b"shape", *_JSON)),
    "torch-zip": _torch(zipped=True),
    "torch-pickle": _torch(zipped=False),
    "onnx": _checkpoint("onnx_initialisers", tokens=(b"onnx::", b"\x0a", b"\x3a", b"\xff\xff\xff\xff\x0f")),
    "tflite": _checkpoint("tflite", tokens=(b"TFL3",)),
    "gguf": _checkpoint("gguf", tokens=(b"GGUF", b"general.alignment", b"tokenizer.chat_template")),
    "ctranslate2": _checkpoint("ctranslate2", tokens=(b"layer/weight\0",)),
    "config.json": _network("bert", "config.json"),
    "tokenizer.json": _network("bert", "tokenizer.json"),
    "tokenizer_config.json": _network("bert", "tokenizer_config.json"),
    "preprocessor_config.json": _network("vit", "preprocessor_config.json"),
    "feature_extractor.json": _network("wav2vec2", "preprocessor_config.json"),
    "model.safetensors": _network("bert", "model.safetensors"),
    "headstart.toml": _saved_model("headstart.toml"),
    "headstart.json": _saved_model("headstart.json"),
}  # fmt: skip
