"""The process that `isolation.py` starts: it decodes one file after the other, within bounds.

A request is a line of JSON on stdin: `[call, path, rate or limit, ...]`. The answer on stdout is a line of JSON, for
arrays followed by their bytes. The process ends with its stdin.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from headstart.data import media
from headstart.errors import MissingExtra, UnreadableFile

BYTES_AT_MOST = 1 << 30
"""Of address space, beyond what the process starts with. Decoding was measured to take half of it at most."""


def image(path: Path) -> np.ndarray:
    """Return the pixels, [H, W, 3] uint8."""
    return np.asarray(media.open_image(path))


def audio(path: Path, rate: int, max_seconds: float | None) -> np.ndarray:
    """Return the samples, [T] float32."""
    return media.open_audio(path, rate, max_seconds=max_seconds)


def seconds(path: Path) -> np.ndarray:
    """Return the duration, [1] float64."""
    return np.array([media.audio_seconds(path)])


CALLS: Mapping[str, Callable[..., np.ndarray]] = {"image": image, "audio": audio, "seconds": seconds}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Say that the process is ready, and answer every request, in order."""
    answers.write(b"{}\n")
    answers.flush()
    for line in requests:
        call, path, *rest = json.loads(line)
        head, array = _answer(call, Path(path), rest)
        answers.write(json.dumps(head).encode() + b"\n")
        if array is not None:
            answers.write(np.ascontiguousarray(array).data)
        answers.flush()


def _answer(call: str, path: Path, rest: list[Any]) -> tuple[dict[str, Any], np.ndarray | None]:
    try:
        array = CALLS[call](path, *rest)
    except UnreadableFile as error:
        return {"cause": error.cause, "hint": error.hint}, None
    except MissingExtra as error:
        return {"package": error.package, "extra": error.extra}, None
    return {"shape": array.shape, "dtype": array.dtype.str}, array


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # not on every platform
        import resource

        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + BYTES_AT_MOST, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    _limit_memory()
    serve(sys.stdin.buffer, sys.stdout.buffer)
