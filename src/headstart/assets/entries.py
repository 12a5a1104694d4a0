"""Read the two catalogue files."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from headstart.assets.contract import Asset, Source
from headstart.errors import UsageError, nearest

_FILES = {"weights": "weights.toml", "data": "data.toml"}


@cache
def catalogue() -> dict[str, Asset]:
    """Return all assets by name: weights first, each kind in the order of its file."""
    folder = Path(__file__).parent
    return {
        name: _asset(name, kind, entry)
        for kind, file in _FILES.items()
        for name, entry in tomllib.loads((folder / file).read_text("utf-8")).items()
    }


def entry(name: str) -> Asset:
    """Return the asset called `name`, or raise UsageError with the nearest valid name."""
    try:
        return catalogue()[name]
    except KeyError:
        raise UsageError(f"there is no asset `{name}`", nearest(name, catalogue())) from None


def _asset(name: str, kind: Any, fields: dict[str, Any]) -> Asset:
    sources = tuple(Source(**{**source, "sha256": tuple(source["sha256"])}) for source in fields.pop("sources"))
    members = tuple(fields.pop("members", ()))
    return Asset(name=name, kind=kind, sources=sources, members=members, **fields)
