"""Notice recordings that end before they should: decoders play them as far as they go, and say nothing.

Of a wav file the header says how long the samples are (RIFF), of an mp3 file the Xing header how long the stream is,
and the last page of an Ogg stream is marked (RFC 3533). Of flac files the decoder itself refuses the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from headstart.types import Example

CHUNKS_AT_MOST = 1_000
STREAMED = (0, 0xFFFFFFFF)  # how a wav header is left by a program that could not come back to it
OGG_PAGE_AT_MOST = 65_307
LAST_PAGE = "is cut short: its last page is missing"
ID3, ID3_BYTES, MPEG = b"ID3", 10, b"\xff"
XING_WITHIN = 4_096
SLACK = 0.01  # encoders count their own headers or not
SHOWN = 3


def cut_short(path: Path) -> str | None:
    """Return a clause that says how much of a recording is there, None where all is, or where nobody can tell."""
    with suppress(OSError, ValueError, struct.error), path.open("rb") as file:
        size, start = path.stat().st_size, file.read(4)
        file.seek(0)
        if start in (b"RIFF", b"RIFX"):
            return _wav(file, size)
        if start == b"OggS":
            return _ogg(file, size)
        if start.startswith((ID3, MPEG)):
            return _mp3(file, size)
    return None


def cut_short_notes(examples: Sequence[Example]) -> list[str]:
    """Say which recordings are used only as far as they go."""
    found = [
        f"`{example.name}` {clause}"
        for example in examples
        if isinstance(path := example.inputs.get("audio"), Path) and (clause := cut_short(path))
    ]
    if not found:
        return []
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [f"{len(found)} recordings are used as far as they go: {', '.join(found[:SHOWN])}{more}."]


def _wav(file: BinaryIO, size: int) -> str | None:
    order = ">" if file.read(12)[:4] == b"RIFX" else "<"
    for _ in range(CHUNKS_AT_MOST):
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name == b"data":
            return None if length in STREAMED else _share(size - file.tell(), length)
        file.seek(length + length % 2, 1)
    return None


def _ogg(file: BinaryIO, size: int) -> str | None:
    file.seek(max(0, size - OGG_PAGE_AT_MOST))
    end = file.read()
    at = end.rfind(b"OggS")
    if at < 0:
        return LAST_PAGE
    flags, segments = end[at + 5 : at + 6], end[at + 26 : at + 27]
    table = end[at + 27 : at + 27 + (segments[0] if segments else 0)]
    whole = bool(segments) and at + 27 + segments[0] + sum(table) <= len(end)
    return None if whole and flags[0] & 4 else LAST_PAGE


def _mp3(file: BinaryIO, size: int) -> str | None:
    start = 0
    if (head := file.read(ID3_BYTES))[:3] == ID3:
        start = ID3_BYTES + sum(byte << 7 * place for place, byte in enumerate(reversed(head[6:10])))
    file.seek(start)
    found = file.read(XING_WITHIN)
    at = max(found.find(b"Xing"), found.find(b"Info"))
    if at < 0:
        return None
    (flags,) = struct.unpack_from(">I", found, at + 4)
    if flags & 2 == 0:
        return None
    (length,) = struct.unpack_from(">I", found, at + (12 if flags & 1 else 8))
    return _share(size - start, length, SLACK) if length else None


def _share(there: int, claimed: int, slack: float = 0.0) -> str | None:
    if there >= claimed * (1 - slack):
        return None
    return f"is cut short, with {max(0, there) * 100 // claimed} % of its sound"
