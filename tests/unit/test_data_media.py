"""Decoding: what a viewer or player would give, and one documented error for everything else."""

from __future__ import annotations

import io
import random
import struct
import sys
import time
import wave
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from headstart.data.media import audio_seconds, open_audio, open_image
from headstart.errors import MissingExtra, UnreadableFile
from samples import tone, write_photos, write_sounds

RED = (200, 40, 30)


def saved(image: Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "gif"])
def test_every_format_gives_the_colours(tmp_path: Path, ending: str):
    image = open_image(saved(Image.new("RGB", (20, 10), RED), tmp_path / f"a.{ending}"))
    assert image.mode == "RGB"
    assert image.size == (20, 10)
    assert np.abs(np.asarray(image).astype(int) - RED).max() <= 6


def test_content_decides_not_the_name(tmp_path: Path):
    path = saved(Image.new("RGB", (4, 4), RED), tmp_path / "a.png")
    assert open_image(path.rename(tmp_path / "a b – фото.jpg")).getpixel((0, 0)) == RED


def test_the_cameras_orientation_is_applied(tmp_path: Path):
    image = Image.new("RGB", (20, 10), "white")
    image.paste(RED, (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to view
    shown = open_image(saved(image, tmp_path / "a.png", exif=exif))
    assert shown.size == (10, 20)
    assert shown.getpixel((5, 2)) == RED
    assert shown.getpixel((5, 18)) == (255, 255, 255)


def test_damaged_metadata_are_no_damage(tmp_path: Path):
    path = saved(Image.new("RGB", (8, 8), RED), tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff nonsense")
    assert open_image(path).size == (8, 8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_white(tmp_path: Path, mode: str):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((0, 0), (80, 80, 80, 255))
    shown = open_image(saved(image.convert(mode), tmp_path / "a.png"))
    assert shown.getpixel((0, 0)) == (80, 80, 80)
    assert shown.getpixel((3, 3)) == (255, 255, 255)


def test_half_transparency_is_mixed_with_white(tmp_path: Path):
    shown = open_image(saved(Image.new("RGBA", (1, 1), (0, 0, 0, 128)), tmp_path / "a.png"))
    assert shown.getpixel((0, 0)) == (127, 127, 127)


def test_sixteen_bit_grey_is_scaled(tmp_path: Path):
    pixels = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    shown = open_image(saved(Image.fromarray(pixels), tmp_path / "a.png"))
    assert [shown.getpixel((x, 0)) for x in range(3)] == [(0,) * 3, (100,) * 3, (255,) * 3]


@pytest.mark.parametrize("mode", ["1", "L", "CMYK"])
def test_other_colour_modes(tmp_path: Path, mode: str):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    shown = open_image(saved(Image.new("RGB", (8, 8), "white").convert(mode), path))
    assert min(shown.getpixel((4, 4))) >= 250


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_the_first_frame_is_taken(tmp_path: Path, ending: str):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, "blue")]
    shown = open_image(saved(frames[0], tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:]))
    assert np.abs(np.asarray(shown).astype(int) - RED).max() <= 6


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds a few zeros."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(9_600, 9_600), (12_000, 12_000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_bombs_are_refused_before_they_unfold(tmp_path: Path, size: tuple[int, int]):
    (tmp_path / "a.png").write_bytes(png_header(*size))
    with pytest.raises(UnreadableFile, match="pixels"):
        open_image(tmp_path / "a.png")


def test_the_limit_of_pixels_can_be_lowered(tmp_path: Path):
    path = saved(Image.new("RGB", (11, 10)), tmp_path / "a.png")
    assert open_image(path, max_pixels=110).size == (11, 10)
    with pytest.raises(UnreadableFile, match="11 x 10 pixels"):
        open_image(path, max_pixels=109)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "gif"])
def test_a_truncated_picture_is_unreadable(tmp_path: Path, ending: str):
    path = write_photos(tmp_path, ending=ending) / "colour0" / f"photo0.{ending}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableFile, match=r"truncated|damaged|not an image"):
        open_image(path)


def test_a_truncated_jpg_is_called_truncated(tmp_path: Path):
    path = write_photos(tmp_path, ending="jpg") / "colour0" / "photo0.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnreadableFile, match="is truncated"):
        open_image(path)


@pytest.mark.parametrize("open_media", [open_image, open_audio, audio_seconds])
def test_what_is_not_there_or_empty(tmp_path: Path, open_media: Callable):
    (tmp_path / "empty").write_bytes(b"")
    for name, cause in {
        "no": "does not exist",
        "empty": "is empty",
        "": "is a folder",
        "x" * 999: "exist",
    }.items():
        with pytest.raises(UnreadableFile, match=cause):
            open_media(tmp_path / name)


@pytest.mark.parametrize(
    "content", [b"a text\n", b"\0" * 1000, b"%PDF-1.4\n", b"II*\0\x08\0\0\0\0\0", b"%!PS-Adobe-3.0"]
)
def test_other_files_are_neither_picture_nor_recording(tmp_path: Path, content: bytes):
    for name in ("a.png", "a.wav", "a.raw"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile, match="is not an image"):
        open_image(tmp_path / "a.png")
    for name in ("a.wav", "a.raw"):
        with pytest.raises(UnreadableFile, match="is not a recording"):
            open_audio(tmp_path / name)


@pytest.mark.parametrize("format", ["TIFF", "PPM", "TGA", "ICO", "EPS"])
def test_formats_off_the_list_are_refused(tmp_path: Path, format: str):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, format=format)
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    with pytest.raises(UnreadableFile, match="is not an image"):
        open_image(tmp_path / "a.png")


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_rate_and_channel_count_gives_the_pitch(tmp_path: Path, ending: str, rate: int, channels: int):
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, np.stack([tone(440, 1.0, rate)] * channels, axis=1), rate)
    samples = open_audio(path)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert abs(len(samples) - 16_000) <= 1_600  # mp3 pads
    assert abs(audio_seconds(path) - 1.0) <= 0.1
    spectrum = np.abs(np.fft.rfft(samples[2_000:14_000]))
    assert abs(spectrum.argmax() * 16_000 / 12_000 - 440) < 3
    assert np.abs(samples[4_000:12_000]).max() == pytest.approx(0.5, abs=0.05)


def test_samples_at_the_same_rate_are_as_stored(tmp_path: Path):
    stored = tone(440, 0.1, 16_000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", stored, 16_000, subtype="FLOAT")
    assert np.array_equal(open_audio(tmp_path / "a.wav"), stored)


def test_channels_are_averaged(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.tile([0.5, -0.25, 0.0, 0.25], (100, 1)), 16_000, subtype="FLOAT")
    assert open_audio(tmp_path / "a.wav") == pytest.approx(0.125)


def test_blocks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    soundfile.write(tmp_path / "a.wav", tone(440, 1.0, 44_100), 44_100)
    whole = open_audio(tmp_path / "a.wav")
    monkeypatch.setattr("headstart.data.media.BLOCK_SAMPLES", 1_000)
    in_blocks = open_audio(tmp_path / "a.wav")
    assert len(whole) == len(in_blocks) == 16_000
    assert np.abs(whole - in_blocks).max() < 1e-6


def test_only_the_beginning_is_taken(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", tone(440, 1.0, 8_000), 8_000)
    assert len(open_audio(tmp_path / "a.wav", max_seconds=0.25)) == 4_000
    assert len(open_audio(tmp_path / "a.wav", 8_000, max_seconds=5)) == 8_000


def test_a_recording_of_zero_seconds(tmp_path: Path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
    for open_media in (open_audio, audio_seconds):
        with pytest.raises(UnreadableFile, match="holds no sound"):
            open_media(tmp_path / "a.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_numbers(tmp_path: Path, value: float):
    samples = np.zeros(100, np.float32)
    samples[50] = value
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(UnreadableFile, match="no numbers"):
        open_audio(tmp_path / "a.wav")


def test_hours_in_a_small_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    soundfile.write(tmp_path / "a.flac", np.zeros(8_000 * 60, np.int16), 8_000)
    assert (tmp_path / "a.flac").stat().st_size < 10_000
    monkeypatch.setattr("headstart.data.media.MAX_SECONDS", 59.0)
    with pytest.raises(UnreadableFile, match="lasts more than"):
        open_audio(tmp_path / "a.flac")
    assert len(open_audio(tmp_path / "a.flac", max_seconds=1)) == 16_000


def test_a_stream_that_does_not_say_its_length(tmp_path: Path):
    soundfile.write(tmp_path / "a.flac", tone(440, 1.0, 16_000), 16_000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # the total of samples in STREAMINFO, 0 for unknown
    (tmp_path / "a.flac").write_bytes(data)
    for open_media in (open_audio, audio_seconds):
        with pytest.raises(UnreadableFile, match="does not say how long"):
            open_media(tmp_path / "a.flac")


def test_a_header_that_claims_too_few_samples_bounds_what_is_decoded(tmp_path: Path):
    soundfile.write(tmp_path / "a.flac", tone(440, 1.0, 16_000), 16_000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[22:26] = struct.pack(">I", 100)
    (tmp_path / "a.flac").write_bytes(data)
    assert len(open_audio(tmp_path / "a.flac")) <= 100


@pytest.mark.parametrize("rate", [1, 900, 1_000_000, 2**31 - 1])
def test_impossible_sampling_rates(tmp_path: Path, rate: int):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16_000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[24:28] = struct.pack("<I", rate)
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(UnreadableFile, match="samples a second"):
        open_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("format", ["AIFF", "AU", "CAF", "W64"])
def test_recordings_off_the_list_are_refused(tmp_path: Path, format: str):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16_000, format=format)
    with pytest.raises(UnreadableFile, match=f"is {format}"):
        open_audio(tmp_path / "a.wav")


def mutants(data: bytes, count: int, seed: int) -> list[bytes]:
    """Return `data` with bytes flipped, cut off, removed, repeated or overwritten with extremes."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        mutant = bytearray(data)
        for _ in range(chance.choice((1, 1, 4, 16))):
            at = chance.randrange(len(mutant))
            kind = chance.randrange(5)
            if kind == 0:
                mutant[at] ^= 1 << chance.randrange(8)
            elif kind == 1:
                mutant[at : at + 4] = chance.choice((b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff"))
            elif kind == 2 and len(mutant) > 40:
                del mutant[at : at + chance.randrange(1, 20)]
            elif kind == 3:
                mutant[at:at] = mutant[at : at + chance.randrange(1, 20)]
            else:
                mutant[min(at, 60)] = chance.randrange(256)  # headers are where it hurts
        found.append(bytes(mutant[: chance.randrange(1, len(mutant) + 1)] if chance.random() < 0.2 else mutant))
    return found


MUTANTS = [pytest.param(150, id="some"), pytest.param(3_000, id="many", marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", MUTANTS)
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "gif"])
def test_mutated_pictures_decode_or_are_unreadable(tmp_path: Path, ending: str, count: int):
    path = write_photos(tmp_path, classes=1, per_class=1, size=16, ending=ending) / f"colour0/photo0.{ending}"
    for mutant in mutants(path.read_bytes(), count, 0):
        path.write_bytes(mutant)
        start = time.process_time()
        with suppress(UnreadableFile):
            assert open_image(path).mode == "RGB"
        assert time.process_time() - start < 2


@pytest.mark.parametrize("count", MUTANTS)
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_mutated_recordings_decode_or_are_unreadable(tmp_path: Path, ending: str, count: int):
    path = write_sounds(tmp_path, classes=1, per_class=1, rate=8_000, ending=ending) / f"pitch0/sound0.{ending}"
    for mutant in mutants(path.read_bytes(), count, 1):
        path.write_bytes(mutant)
        start = time.process_time()
        with suppress(UnreadableFile):
            assert np.isfinite(open_audio(path)).all()
        assert time.process_time() - start < 2


@pytest.mark.parametrize(("package", "extra", "open_media"), [
    ("PIL", "image", open_image),
    ("soundfile", "audio", open_audio),
    ("soxr", "audio", open_audio),
])  # fmt: skip
def test_a_missing_decoder_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, open_media: Callable
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"headstart\[{extra}\]"):
        open_media(tmp_path / "a")
