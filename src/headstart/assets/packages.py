"""Read members of package files one after the other; nothing is unpacked under a name that a package chose.

A wheel is a zip file, a source archive or npm package a compressed tar file, and a Debian package an ar file
with `data.tar.xz` in it (deb(5)).
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from headstart.errors import DataError, UnsafeFile

MEMBERS_AT_MOST = 50_000
MEMBER_BYTES_AT_MOST = 512 * 2**20
BYTES_AT_MOST = 2 * 2**30

_AR_MAGIC = b"!<arch>\n"


def members(package: Path, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each regular file under `prefix`, in the package's order.

    Raises:
        DataError: the package is damaged or of an unknown kind.
        UnsafeFile: it holds more or larger files than any package of the catalogue.
    """
    total = 0
    try:
        for count, (name, size, read) in enumerate(_entries(package)):
            if count > MEMBERS_AT_MOST or size > MEMBER_BYTES_AT_MOST:
                raise UnsafeFile(f"`{package.name}` holds too many or too large files", "do not use it")
            if name.startswith(prefix):
                total += size
                if total > BYTES_AT_MOST:
                    raise UnsafeFile(f"`{package.name}` holds more than 2 GiB", "do not use it")
                yield name, read()
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise DataError(f"`{package.name}` is damaged: {error}", "obtain it again") from error


def tar_members(stream: BinaryIO, mode: str) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the regular files of a tar stream; `mode` is tarfile's, such as `r|gz`."""
    for name, size, read in _tar_entries(stream, mode):
        if size > MEMBER_BYTES_AT_MOST:
            raise UnsafeFile(f"the member `{name}` is larger than 512 MiB", "do not use it")
        yield name, read()


def _entries(package: Path) -> Iterator:
    if package.name.endswith((".whl", ".zip")):
        yield from _zip_entries(package)
        return
    with package.open("rb") as stream:
        if package.suffix == ".deb":
            yield from _tar_entries(stream, f"r|{_seek_data(stream, package)}")
        elif package.name.endswith((".tar.gz", ".tgz")):
            yield from _tar_entries(stream, "r|gz")
        else:
            raise DataError(f"`{package.name}` is not a package of a known kind", "obtain it again")


def _zip_entries(package: Path) -> Iterator:
    with zipfile.ZipFile(package) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, info.file_size, lambda info=info: archive.read(info)


def _tar_entries(stream: BinaryIO, mode: str) -> Iterator:
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for info in archive:
            if info.isreg():
                yield (
                    info.name.removeprefix("./"),
                    info.size,
                    lambda info=info: archive.extractfile(info).read(),
                )


def _seek_data(stream: BinaryIO, package: Path) -> str:
    """Move to the start of a Debian package's data archive and return how it is compressed."""
    if stream.read(8) != _AR_MAGIC:
        raise DataError(f"`{package.name}` is not a Debian package", "obtain it again")
    while len(header := stream.read(60)) == 60:
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
        if name.startswith("data.tar."):
            return name.removeprefix("data.tar.")
        stream.seek(size + size % 2, 1)
    raise DataError(f"`{package.name}` has no data archive", "obtain it again")
