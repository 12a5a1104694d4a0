"""Say in a data set's folder what it is and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headstart.assets.contract import Asset


def write_readme(asset: Asset, folder: Path, notices: Mapping[str, bytes]) -> None:
    """Write `README.md`, and each notice of a package's authors under its name."""
    packages = ", ".join(f"{source.package} {source.version} ({source.client})" for source in asset.sources)
    text = f"""# {asset.name}

{asset.note}.

- Origin: {asset.origin}
- Licence: {asset.licence}
- Made of: {packages}
"""
    (folder / "README.md").write_text(text, encoding="utf-8")
    for name, content in sorted(notices.items()):
        (folder / name).write_bytes(content)
