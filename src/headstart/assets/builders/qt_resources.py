"""Read Qt resource files (`.rcc`), in which GCompris keeps its pictures.

Layout (big-endian): `qres`, format version, offsets of the tree, the data and the names. A node of the tree
is its name's offset u32 and flags u16, then for a folder the number of children and the first child, and for
a file its locale and data offset; version 2 and later add a time of 8 bytes. Data is its size u32 and bytes.
Source: `qtbase/src/tools/rcc/rcc.cpp` (`RCCFileInfo::writeDataInfo`, `writeDataBlob`, `writeDataName`)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_COMPRESSED, _FOLDER = 0x01 | 0x04, 0x02


def resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the files that are stored uncompressed, as pictures are.

    Raises:
        ValueError, struct.error: the file is damaged.
    """
    if data[:4] != b"qres":
        raise ValueError("not a Qt resource file")
    version, tree, blobs, names = struct.unpack_from(">4I", data, 4)
    node_size = 14 if version < 2 else 22

    def name(offset: int) -> str:
        (length,) = struct.unpack_from(">H", data, names + offset)
        # Between length and text lies a hash of 4 bytes.
        return data[names + offset + 6 : names + offset + 6 + 2 * length].decode("utf-16-be")

    def walk(node: int, path: str) -> Iterator[tuple[str, bytes]]:
        at = tree + node * node_size
        title, flags, first, second = struct.unpack_from(">IHII", data, at)
        path = f"{path}/{name(title)}" if node else ""
        if flags & _FOLDER:
            for child in range(second, second + first):
                yield from walk(child, path)
        elif not flags & _COMPRESSED:
            (size,) = struct.unpack_from(">I", data, blobs + second)
            yield path, data[blobs + second + 4 : blobs + second + 4 + size]

    yield from walk(0, "")
