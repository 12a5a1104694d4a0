"""What is kept of a decoded picture or recording: enough to compare it with others, and to see that it is empty."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.data.isolation import audio_seconds, open_audio, open_image
from headstart.errors import UnreadableFile
from headstart.events import Listener, Progress, ignore
from headstart.types import Example, Kind, Skipped

SIDE = 48  # pixels of a reduced picture
RATE = 16_000
HOP = 320  # samples: 20 ms
FRAME = 1024
BANDS = 24
COMPARED_SECONDS = 10.0
_ONE_COLOUR = 1.0  # standard deviation of the values 0 to 255: less than what compression adds
_SILENCE = 1e-4  # standard deviation where full scale is 1: -80 dB
_FLOOR = 1e-4  # of the loudest band: 40 dB below it, where slight noise is
_SILENT = -3.0  # as a power of ten: 30 dB below the loudest
_GROUP = 64


@dataclass(frozen=True, slots=True)
class Sketch:
    """A decoded input in brief.

    Attributes:
        extent: width and height in pixels, or seconds and 0.
        constant: it is of one colour, or silent.
        pattern: a picture as [48, 48, 3] uint8; of a recording the logarithm of 24 mel bands every
            20 ms, [T, 24] float16, without the silence at both ends.
    """

    extent: tuple[float, float]
    constant: bool
    pattern: np.ndarray


def sketch_all(
    examples: Sequence[Example], *, kind: Kind, listener: Listener = ignore
) -> tuple[dict[str, Sketch], tuple[Skipped, ...]]:
    """Decode pictures or recordings and return their sketches by name, and what could not be decoded."""
    sketches: dict[str, Sketch] = {}
    skipped: list[Skipped] = []
    make = {"image": picture_sketch, "audio": recording_sketch}[kind]

    def sketch(example: Example) -> Sketch | Skipped:
        try:
            return make(Path(example.inputs[kind]))
        except UnreadableFile as error:
            return Skipped(example.name, error.cause)

    with ThreadPoolExecutor(2, thread_name_prefix="sketch") as pool:
        for start in range(0, len(examples), _GROUP):
            group = examples[start : start + _GROUP]
            for example, found in zip(group, pool.map(sketch, group), strict=True):
                if isinstance(found, Skipped):
                    skipped.append(found)
                else:
                    sketches[example.name] = found
            listener(Progress("looking at the data", start + len(group), len(examples)))
    return sketches, tuple(skipped)


def picture_sketch(path: Path) -> Sketch:
    """Return the sketch of a picture.

    Raises:
        UnreadableFile, MissingExtra: as `open_image`.
    """
    from PIL import Image

    image = open_image(path)
    reduced = image.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    deviation = np.asarray(image.reduce(max(1, min(image.size) // 256)), dtype=np.float32).std(axis=(0, 1)).max()
    return Sketch((float(image.width), float(image.height)), bool(deviation < _ONE_COLOUR), np.asarray(reduced))


def recording_sketch(path: Path) -> Sketch:
    """Return the sketch of the first ten seconds of a recording, with its whole length.

    Raises:
        UnreadableFile, MissingExtra: as `open_audio`.
    """
    samples = open_audio(path, RATE, max_seconds=COMPARED_SECONDS)[: int(COMPARED_SECONDS * RATE)]
    return Sketch((audio_seconds(path), 0.0), bool(samples.std() < _SILENCE), bands(samples))


def bands(samples: np.ndarray) -> np.ndarray:
    """Return the logarithm of the energy in mel bands, [T, 24], from the first to the last sound, at whatever level."""
    padded = np.pad(samples, (0, max(FRAME - len(samples), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME).astype(np.float32))) ** 2
    energy = power @ _filters()
    loudest = max(float(energy.max()), 1e-20)
    pattern = np.log10(energy / loudest + _FLOOR).astype(np.float16)
    heard = np.nonzero(pattern.max(1) > _SILENT)[0]
    return pattern[heard[0] : heard[-1] + 1] if len(heard) else pattern


def _filters() -> np.ndarray:
    """Return triangles of equal width on the mel scale from 100 to 7,000 Hz, [frequencies, 24]."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (100.0, 7000.0))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(FRAME, 1 / RATE)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (frequencies - left) / (centre - left), (right - frequencies) / (right - centre)
    return np.clip(np.minimum(rising, falling), 0, None)
