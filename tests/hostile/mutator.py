"""Damage files on purpose: the same seed gives the same mutants, on every machine."""

from __future__ import annotations

import copy
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
NUMBERS = (
    b"0",
    b"-1",
    b"1e999",
    b"NaN",
    b"4294967296",
    b"99999999999999999999",
    b"2147483647",
    b"0.0000001",
    b"1000000",
)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**70, 1e308, -1e308, float("inf"), "", "a", "\0", "\ud800", "x" * 999,
    "../../etc/passwd", "{{ 7 * 7 }}", [], {}, [[]], [None] * 50, {"": {}}, {"__class__": "os"},
)  # fmt: skip
DEEP = 40_000

Operation = Callable[[bytearray, random.Random], None]


@dataclass(frozen=True)
class Mutator:
    """What is known of a format, so that damage reaches beyond its first check.

    Attributes:
        tokens: marks of the format, put where they do not belong.
        repair: makes check sums right again, so that what lies behind them is read; applied to every other mutant.
        json: whether values of a JSON document may be exchanged as well.
    """

    tokens: Sequence[bytes] = ()
    repair: Callable[[bytes], bytes] | None = None
    json: bool = False

    def mutants(self, seeds: Sequence[bytes], count: int, *, start: int = 0) -> Iterator[bytes]:
        """Yield mutants number `start` to `count`; each is a function of its number and the seeds alone."""
        for number in range(start, count):
            yield self.mutant(seeds, number)

    def mutant(self, seeds: Sequence[bytes], number: int) -> bytes:
        draw = random.Random(number)
        original = draw.choice(seeds)
        if self.json and draw.random() < 0.6:
            return _exchanged(original, draw)
        data = bytearray(original)
        operations: list[Operation] = [*OPERATIONS, self._token, self._splice(seeds)]
        for _ in range(draw.choice((1, 1, 1, 2, 4, 8))):
            if data:
                draw.choice(operations)(data, draw)
        mutant = bytes(data)
        return self.repair(mutant) if self.repair and number % 2 else mutant

    def _token(self, data: bytearray, draw: random.Random) -> None:
        token = draw.choice((*self.tokens, *NUMBERS))
        at = draw.randrange(len(data))
        data[at : at + draw.choice((0, len(token)))] = token

    @staticmethod
    def _splice(seeds: Sequence[bytes]) -> Operation:
        def splice(data: bytearray, draw: random.Random) -> None:
            other = draw.choice(seeds)
            data[draw.randrange(len(data)) :] = other[draw.randrange(len(other)) :]

        return splice


def _flip(data: bytearray, draw: random.Random) -> None:
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _early(data: bytearray, draw: random.Random) -> None:
    """Headers are where it hurts."""
    data[draw.randrange(min(len(data), 64))] = draw.randrange(256)


def _late(data: bytearray, draw: random.Random) -> None:
    """Footers, directories and indices lie at the end."""
    data[-1 - draw.randrange(min(len(data), 200))] = draw.randrange(256)


def _run(data: bytearray, draw: random.Random) -> None:
    at, size = draw.randrange(len(data)), draw.randrange(1, 33)
    data[at : at + size] = draw.choice((bytes(size), b"\xff" * size, draw.randbytes(size)))


def _number(data: bytearray, draw: random.Random) -> None:
    """Overwrite what may be a length or a count, in either order of bytes."""
    code, size = draw.choice((("B", 1), ("H", 2), ("I", 4), ("Q", 8)))
    value = draw.choice(EXTREMES) + draw.choice((-1, 0, 0, 1)) & (1 << 8 * size) - 1
    at = draw.randrange(len(data))
    data[at : at + size] = struct.pack(draw.choice("<>") + code, value)


def _nudge(data: bytearray, draw: random.Random) -> None:
    at = draw.randrange(len(data))
    data[at] = (data[at] + draw.choice((-1, 1, 16, -16))) % 256


def _truncate(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)) :]


def _delete(data: bytearray, draw: random.Random) -> None:
    at = draw.randrange(len(data))
    del data[at : at + draw.choice((1, 4, 16, 200))]


def _repeat(data: bytearray, draw: random.Random) -> None:
    at = draw.randrange(len(data))
    data[at:at] = data[at : at + draw.choice((1, 4, 16, 200))] * draw.choice((1, 2, 50))


OPERATIONS: tuple[Operation, ...] = (_flip, _early, _late, _run, _number, _nudge, _truncate, _delete, _repeat)


def _exchanged(original: bytes, draw: random.Random) -> bytes:
    """Return a JSON document with some of its values exchanged, lost, or nested very deeply."""
    document = json.loads(original)
    for _ in range(draw.choice((1, 1, 2, 3))):
        holders = list(_holders(document))
        if not holders:
            break
        holder, key = draw.choice(holders)
        if draw.random() < 0.15:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(draw.choice(VALUES))
    text = json.dumps(document)
    if draw.random() < 0.02:
        text = text.replace("null", "[" * DEEP + "]" * DEEP, 1)
    return text.encode()


def _holders(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container of a document with each of its keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from _holders(inner)


def repaired_png(data: bytes) -> bytes:
    """Return a PNG whose chunks have the right check sums, as far as chunks can be found."""
    fixed, at = bytearray(data), 8
    while at + 12 <= len(fixed):
        (length,) = struct.unpack_from(">I", fixed, at)
        if length > len(fixed) - at - 12:
            break
        struct.pack_into(">I", fixed, at + 8 + length, zlib.crc32(fixed[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(fixed)


def repaired_ogg(data: bytes) -> bytes:
    """Return an Ogg stream whose pages have the right check sums (RFC 3533, section 6)."""
    fixed = bytearray(data)
    at = fixed.find(b"OggS")
    while 0 <= at <= len(fixed) - 27:
        sizes = fixed[at + 27 : at + 27 + fixed[at + 26]]
        end = at + 27 + len(sizes) + sum(sizes)
        fixed[at + 22 : at + 26] = bytes(4)
        struct.pack_into("<I", fixed, at + 22, _ogg_sum(fixed[at:end]))
        at = fixed.find(b"OggS", at + 4)
    return bytes(fixed)


def _ogg_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 1 << 31 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


_OGG = _ogg_table()


def _ogg_sum(page: bytes) -> int:
    value = 0
    for byte in page:
        value = (value << 8 ^ _OGG[value >> 24 ^ byte]) & 0xFFFFFFFF
    return value
