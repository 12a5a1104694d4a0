"""Decode pictures and recordings from anywhere: they come back whole, or one documented error is raised."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.data.walk import is_file, is_folder
from headstart.errors import HeadstartError, MissingExtra, UnreadableFile
from headstart.types import Kind

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES: Mapping[Kind, frozenset[str]] = {
    "image": frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}),
    "audio": frozenset({".wav", ".flac", ".ogg", ".mp3"}),
}
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
AUDIO_FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3", "MPEG")

# What the largest sensors of telephones have (50 million). Decoding takes 512 MiB at most: Pillow stores four bytes
# a pixel and two copies exist at once; libwebp holds two canvases besides.
MAX_PIXELS = 8192 * 6144
MAX_PIXELS_OF = {"WEBP": 24 << 20}
BAND_PIXELS = 1 << 20
MAX_SECONDS = 3600.0
SAMPLING_RATES = (1_000, 768_000)
# 0 dBFS is 1.0; a file of 32-bit integers stored as floats still fits
MAX_AMPLITUDE = 2.0**31
BLOCK_SAMPLES = 1 << 20
UNKNOWN_FRAMES = 1 << 62


def kind_of_file(path: Path) -> Kind | None:
    """Return whether a file is a picture or a recording by the ending of its name, or None."""
    suffix = path.suffix.lower()
    return next((kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes), None)


def open_image(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a picture as RGB, the way a viewer shows it.

    The camera's orientation is applied, transparency is laid on white, 16-bit grey is scaled to 8 bits and of
    an animation the first frame is taken. What the file is, is decided by its content.

    Raises:
        UnreadableFile: it is missing, empty, damaged, no picture, or larger than `max_pixels`.
        MissingExtra: Pillow is not installed.
    """
    image_module = _pillow()
    path = _existing(path)
    documented = _documented(path, "is not an image (jpg, png, webp, bmp or gif)")
    with documented, _opened_image(image_module, path, max_pixels) as image:
        image.load()
        _turn_upright(image)
        return _as_rgb(image)


@contextmanager
def _opened_image(image_module: Any, path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open the header; nothing is decoded before the number of pixels is known to be bearable."""
    with image_module.open(path, formats=IMAGE_FORMATS) as image:
        width, height = image.size
        most = min(max_pixels, MAX_PIXELS_OF.get(image.format, max_pixels))
        if width * height > most:
            size = f"has {width} x {height} pixels, more than {most:,} in all"
            raise UnreadableFile(path, size, "scale it down: networks look at a few hundred pixels a side")
        if width * height == 0:
            raise UnreadableFile(path, "has no pixels")
        yield image


def _turn_upright(image: Image.Image) -> None:
    from PIL import ImageOps

    # Damaged metadata do not make the picture unusable.
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)


def _as_rgb(image: Image.Image) -> Image.Image:
    """Convert band by band, so that no third copy of a large picture exists."""
    from PIL import Image

    shown = Image.new("RGB", image.size)
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        shown.paste(_band_as_rgb(band), (0, top))
    return shown


def _band_as_rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra("pillow", "image") from None
    # Pictures are decoded in threads, and `warnings.catch_warnings` there would undo the filters of other threads.
    # What Pillow warns of is either refused by its size here or does not keep the picture from being shown.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    return Image


def open_audio(path: Path | str, rate: int = 16_000, *, max_seconds: float | None = None) -> np.ndarray:
    """Decode a recording as mono at `rate` samples a second.

    It is read and resampled in blocks, so that a small file that unfolds to hours is noticed in time.

    Args:
        path: wav, flac, ogg or mp3, at any rate and with any number of channels, which are averaged.
        rate: samples a second of the result.
        max_seconds: take only so much from the beginning; None takes all, up to an hour.

    Returns:
        float32 samples [T], full scale at 1.0.

    Raises:
        UnreadableFile: it is missing, empty, damaged, no recording, or longer than an hour.
        MissingExtra: soundfile or soxr is not installed.
    """
    soundfile, soxr = _soundfile()
    path = _existing(path)
    with _documented(path, _NOT_AUDIO), _opened_audio(soundfile, path) as file:
        source_rate = file.samplerate
        blocks = _blocks(file, path, max_seconds)
        if source_rate != rate:
            blocks = _resampled(blocks, soxr.ResampleStream(source_rate, rate, 1, dtype="float32"))
        samples = np.concatenate([np.zeros(0, np.float32), *blocks])
    if not len(samples):
        raise UnreadableFile(path, "holds no sound")
    return samples


def audio_seconds(path: Path | str) -> float:
    """Return how long a recording is, by its header.

    Raises:
        UnreadableFile, MissingExtra: as `open_audio`, for what can be seen without decoding.
    """
    soundfile, _ = _soundfile()
    path = _existing(path)
    with _documented(path, _NOT_AUDIO), _opened_audio(soundfile, path) as file:
        return float(file.frames / file.samplerate)


_NOT_AUDIO = "is not a recording (wav, flac, ogg or mp3)"


@contextmanager
def _opened_audio(soundfile: Any, path: Path) -> Iterator[Any]:
    with soundfile.SoundFile(path) as file:
        if file.format not in AUDIO_FORMATS:
            raise UnreadableFile(path, f"is {file.format}, not wav, flac, ogg or mp3")
        if not SAMPLING_RATES[0] <= file.samplerate <= SAMPLING_RATES[1]:
            raise UnreadableFile(path, f"claims {file.samplerate} samples a second")
        if file.frames == 0:
            raise UnreadableFile(path, "holds no sound")
        if file.frames >= UNKNOWN_FRAMES:
            # libsndfile cannot read such a file to its end.
            raise UnreadableFile(path, "does not say how long it is", "write it again as a complete file")
        yield file


def _blocks(file: Any, path: Path, max_seconds: float | None) -> Iterator[np.ndarray]:
    """Yield mono blocks; soundfile gives no more frames than the header claims, so the header is checked."""
    if max_seconds is None and file.frames > MAX_SECONDS * file.samplerate:
        hours = f"lasts more than {MAX_SECONDS / 3600:g} h"
        raise UnreadableFile(path, hours, "cut it into shorter recordings")
    limit = math.ceil(min(max_seconds or math.inf, MAX_SECONDS) * file.samplerate)
    size = max(1, BLOCK_SAMPLES // file.channels)
    done = 0
    while done < limit:
        block = file.read(min(size, limit - done), dtype="float32", always_2d=True)
        if not len(block):
            return
        if not np.isfinite(block).all() or np.abs(block).max() > MAX_AMPLITUDE:
            raise UnreadableFile(path, "holds samples that are no numbers, or impossibly loud")
        done += len(block)
        yield block.mean(axis=1, dtype=np.float32)


def _resampled(blocks: Iterator[np.ndarray], stream: Any) -> Iterator[np.ndarray]:
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _soundfile() -> tuple[Any, Any]:
    try:
        import soundfile
        import soxr
    except (ImportError, OSError):  # OSError: soundfile is there, the library that it wraps is not
        raise MissingExtra("soundfile", "audio") from None
    return soundfile, soxr


def _existing(path: Path | str) -> Path:
    path = Path(path)
    if not is_file(path):
        raise UnreadableFile(path, "is a folder" if is_folder(path) else "does not exist")
    if path.stat().st_size == 0:
        raise UnreadableFile(path, "is empty")
    return path


@contextmanager
def _documented(path: Path, otherwise: str) -> Iterator[None]:
    """Turn whatever a decoder raises on hostile bytes into UnreadableFile."""
    try:
        yield
    except HeadstartError:
        raise
    except Exception as error:
        raise UnreadableFile(path, _cause(error, otherwise)) from error


def _cause(error: Exception, otherwise: str) -> str:
    name, text = type(error).__name__, str(error).lower()
    if name.startswith("DecompressionBomb"):
        return f"has more pixels than {MAX_PIXELS:,}"
    if isinstance(error, PermissionError):
        return "may not be read"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if "truncated" in text:
        return "is truncated"
    if name in ("UnidentifiedImageError", "LibsndfileError", "TypeError"):
        return otherwise
    return "is damaged"
