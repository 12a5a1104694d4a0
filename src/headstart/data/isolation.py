"""Decode files in processes of their own: a decoder that crashes, hangs or fills the memory costs that file alone.

The decoders are C libraries that read what strangers wrote. What they print of their own accord (mpg123 does) ends
there as well. A process is started when one is wanted and none is idle, and serves many files.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from headstart.errors import MachineError, MissingExtra, UnreadableFile

if TYPE_CHECKING:
    from PIL import Image

SECONDS_AT_MOST = 120.0
ATTEMPTS = 2
"""The system may end a process that did nothing wrong, where memory is short."""


def open_image(path: Path) -> Image.Image:
    """Decode a picture as `media.open_image` does.

    Raises:
        UnreadableFile: as there, or its decoder crashed or took too long.
        MissingExtra: Pillow is not installed. MachineError: no process can be started.
    """
    pixels = _ask("image", path)
    from PIL import Image

    return Image.fromarray(pixels)


def open_audio(path: Path, rate: int = 16_000, *, max_seconds: float | None = None) -> np.ndarray:
    """Decode a recording as `media.open_audio` does: float32 samples [T].

    Raises:
        UnreadableFile: as there, or its decoder crashed or took too long.
        MissingExtra: soundfile or soxr is not installed. MachineError: no process can be started.
    """
    return _ask("audio", path, rate, max_seconds)


def audio_seconds(path: Path) -> float:
    """Return how long a recording is, as `media.audio_seconds` does, and raise as `open_audio`."""
    return float(_ask("seconds", path)[0])


class _Ended(Exception):
    """The process ended without an answer, with this exit status."""

    def __init__(self, status: int) -> None:
        self.status = status


class _Worker:
    def __init__(self) -> None:
        # -P: the folder that the user is in may hold files called like modules.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "headstart.data.decode_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        if not cast(BufferedReader, self._process.stdout).readline():
            self.close()
            raise MachineError(
                "the process that decodes files does not start", "python -m headstart.data.decode_worker says why"
            )

    def ask(self, request: list[Any]) -> tuple[dict[str, Any], np.ndarray]:
        """Return the head of the answer and its array, or raise _Ended."""
        timer = threading.Timer(SECONDS_AT_MOST, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            return self._answer(request)
        except (BrokenPipeError, EOFError):
            raise _Ended(self._process.wait()) from None
        finally:
            timer.cancel()

    def _answer(self, request: list[Any]) -> tuple[dict[str, Any], np.ndarray]:
        requests, answers = cast(BinaryIO, self._process.stdin), cast(BufferedReader, self._process.stdout)
        requests.write(json.dumps(request).encode() + b"\n")
        requests.flush()
        line = answers.readline()
        if not line:
            raise EOFError
        head = json.loads(line)
        array = np.empty(head.get("shape", 0), head.get("dtype", "u1"))
        if answers.readinto(array.reshape(-1).view("u1").data) != array.nbytes:
            raise EOFError
        return head, array

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


_idle: list[_Worker] = []
_inherited: list[_Worker] = []


def _ask(call: str, path: Path, *rest: Any) -> np.ndarray:
    status, started = 0, time.monotonic()
    for _ in range(ATTEMPTS):
        worker = _taken()
        try:
            head, array = worker.ask([call, str(path.absolute()), *rest])
        except _Ended as ended:
            status = ended.status
            worker.close()
            if time.monotonic() - started >= SECONDS_AT_MOST:
                raise UnreadableFile(path, f"kept its decoder busy for {SECONDS_AT_MOST:g} s") from None
            continue
        except BaseException:
            worker.close()  # its next answer would be the one to this question
            raise
        _idle.append(worker)
        return _checked(path, head, array)
    raise UnreadableFile(path, f"made its decoder {_told(status)}")


def _taken() -> _Worker:
    try:
        return _idle.pop()
    except IndexError:
        return _Worker()


def _checked(path: Path, head: dict[str, Any], array: np.ndarray) -> np.ndarray:
    if "cause" in head:
        raise UnreadableFile(path, head["cause"], head["hint"])
    if "package" in head:
        raise MissingExtra(head["package"], head["extra"])
    return array


def _told(status: int) -> str:
    return f"crash ({signal.Signals(-status).name})" if status < 0 else f"stop with exit status {status}"


def _close_all() -> None:
    while _idle:
        _idle.pop().close()


def _leave_to_parent() -> None:
    """Two processes that talk to one worker would read each other's answers."""
    _inherited.extend(_idle)
    _idle.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
