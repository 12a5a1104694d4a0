"""Pillow's own test pictures, damaged and hostile ones among them: each is decoded, or refused by one documented error.

They are in the source package of the pinned Pillow, which pip brings; nothing of it is unpacked or run.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from headstart.assets.clients import fetch
from headstart.assets.contract import Source
from headstart.assets.packages import members
from headstart.data import media
from headstart.errors import UnreadableFile
from headstart.place import cache_folder

PILLOW = Source(
    client="pip",
    package="pillow",
    version="13.0.0",
    sha256=("cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510",),
    bytes=47_058_631,
    form="sdist",
)
PICTURES = 1_060
SECONDS_AT_MOST = 2.0
# Of those that the product decodes at all, by what they are and not by how they are called.
READ = 550


def corpus() -> Iterator[tuple[str, bytes]]:
    """Yield the name and bytes of each picture; the package is fetched once."""
    folder = cache_folder() / "test-assets"
    kept = folder / f"pillow-{PILLOW.version}.tar.gz"
    if not kept.is_file() or hashlib.sha256(kept.read_bytes()).hexdigest() not in PILLOW.sha256:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as place:
            fetch(PILLOW, Path(place), asset="Pillow's pictures").rename(kept)
    for name, content in members(kept, f"pillow-{PILLOW.version}/Tests/images/"):
        yield PurePosixPath(name).name, content


@pytest.mark.slow
def test_every_picture_is_decoded_or_refused(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for number, (name, content) in enumerate(corpus()):
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(content)
        started = time.process_time()
        try:
            assert media.open_image(path).mode == "RGB"
            counts["read"] += 1
        except UnreadableFile as error:
            counts["refused" if path.name in error.message else "unnamed"] += 1
        assert time.process_time() - started <= SECONDS_AT_MOST, name
        path.unlink()
    assert counts.total() == PICTURES
    assert counts["read"] >= READ, counts
    assert not counts["unnamed"]
