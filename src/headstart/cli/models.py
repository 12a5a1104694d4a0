"""`headstart models`: which backbones there are."""

from __future__ import annotations

import shutil
from typing import Any

from headstart import console
from headstart.cli.contract import Json


def command(as_json: Json = False) -> None:
    """List the pre-trained backbones of the catalogue.

    The status is that of the family: `tested` means that its contract tests cut it at every depth and passed.
    """
    from headstart import assets

    rows = backbones()
    if as_json:
        console.say_json(rows)
        return
    cells = [
        (
            row["name"], row["family"], f"{row['parameters'] / 1e6:.1f} M", str(row["blocks"]), row["status"],
            _weights(assets.catalogue()[row["name"]], row["present"]),
        )
        for row in rows
    ]  # fmt: skip
    console.say_table(("name", "family", "parameters", "blocks", "status", "weights"), cells)


def backbones() -> list[dict[str, Any]]:
    """Return one row a backbone, with the keys of `models --json`."""
    from headstart import assets
    from headstart.assets.status import status_of

    return [
        {
            "name": name,
            "family": asset.family,
            "parameters": asset.parameters,
            "blocks": asset.blocks,
            "licence": asset.licence,
            "origin": asset.origin,
            "present": assets.present(name),
            "status": status_of(asset.family),
        }
        for name, asset in assets.catalogue().items()
        if asset.kind == "weights"
    ]


def _weights(asset: Any, present: bool) -> str:
    """Return `present`, `obtainable`, or which client is missing."""
    if present:
        return "present"
    programs = {source.client: "apt-get" if source.client == "apt" else source.client for source in asset.sources}
    # pip is run as a module of this Python.
    missing = [c for c, program in programs.items() if c != "pip" and not shutil.which(program)]
    return f"needs {' and '.join(missing)}" if missing else "obtainable"
