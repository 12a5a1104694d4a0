"""Photos of things in 12 classes: cut-out stamps of Tux Paint, laid on white, and pictures of GCompris."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from headstart.assets.builders.qt_resources import resources
from headstart.assets.builders.readme import write_readme
from headstart.assets.builders.split import fixed_split
from headstart.assets.contract import Asset
from headstart.assets.packages import members
from headstart.errors import MissingExtra

PIXELS_AT_MOST = 384
"""Longest side of a picture: more than any small backbone reads, and quick to decode."""

ALIKE_AT_MOST = 20
"""Pictures whose 256-bit hashes differ by no more bits are taken for the same one."""

_STAMPS = "usr/share/tuxpaint/stamps/"
_RESOURCES = "usr/share/gcompris-qt/rcc/"
_PACKAGES = {"tuxpaint-stamps-default": _STAMPS, "gcompris-qt-data": _RESOURCES}

# Class by the beginning of the path in either package.
_CLASSES = {
    "animals/birds/": "bird",
    "animals/fish/": "fish",
    "animals/mammals/": "mammal",
    "animals/marsupials/": "mammal",
    "food/fruit/": "fruit",
    "food/vegetables/": "vegetable",
    "hobbies/music/": "instrument",
    "household/tools/": "tool",
    "plants/flowers/": "flower",
    "symbols/money/canadian/coins/": "coin",
    "symbols/money/euro/coins/": "coin",
    "symbols/money/japanese/": "coin",
    "symbols/money/us/coins/": "coin",
    "town/monuments/": "monument",
    "vehicles/": "vehicle",
    "categorization/fishes/": "fish",
    "categorization/monuments/": "monument",
    "categorization/renewable/windmill": "windmill",
    "categorization/tools/": "tool",
    "explore_monuments/": "monument",
}
# Drawings, toys and mirror images; then single pictures that do not show what their folder says.
_LEFT_OUT: tuple[str, ...] = ("/cartoon/", "/toys/", "/plastic/", "_mirror", "-outline", "/echidna.", "/hedgehog.")
_LEFT_OUT += ("/lobster.", "/shrimp.", "/7spoke256.", "/wheel_tractor.", "/sedan_police.", "/cementmixer.")
_LEFT_OUT += ("/canyondeChelly.", "/machuPicchu.")


def build(asset: Asset, packages: dict[str, Path], folder: Path) -> None:
    """Write `train/<class>/*.png` and `test/<class>/*.png`, 60 to 40 in each class.

    Raises:
        MissingExtra: Pillow is not installed.
    """
    classes: dict[str, dict[str, bytes]] = {}
    for path, content in unique(_pictures(packages)):
        name = path.replace("/", "-")
        classes.setdefault(class_of(path) or "", {})[name] = content
    for label, pictures in sorted(classes.items()):
        for split, name in fixed_split(pictures):
            place = folder / split / label
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{Path(name).stem}.png").write_bytes(pictures[name])
    notices = {f"copyright-{name}": _notice(packages[name]) for name in _PACKAGES}
    write_readme(asset, folder, notices)


def class_of(path: str) -> str | None:
    """Return the class of a picture by its path, or None if it is not used."""
    if any(part in path for part in _LEFT_OUT):
        return None
    return next((label for start, label in _CLASSES.items() if path.startswith(start)), None)


def unique(pictures: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """Yield path and PNG of each picture, in the order of the paths, unless an earlier one looks the same."""
    seen: list[int] = []
    for path, picture in sorted(pictures, key=lambda pair: pair[0]):
        bits = difference_hash(picture)
        if all((bits ^ other).bit_count() > ALIKE_AT_MOST for other in seen):
            seen.append(bits)
            file = io.BytesIO()
            picture.save(file, "PNG")
            yield path, file.getvalue()


def difference_hash(picture: Any) -> int:
    """Return 256 bits: whether each of 16 x 16 cells is darker than its right neighbour.

    Neal Krawetz, "Kind of Like That", The Hacker Factor Blog, 2013.
    """
    small = picture.convert("L").resize((17, 16), 1).tobytes()
    pairs = (small[17 * y + x] < small[17 * y + x + 1] for y in range(16) for x in range(16))
    return sum(darker << place for place, darker in enumerate(pairs))


def _pictures(packages: dict[str, Path]) -> Iterator[tuple[str, Any]]:
    for path, content in (*_stamps(packages), *_resources(packages)):
        if class_of(path):
            yield path, _on_white(content)


def _stamps(packages: dict[str, Path]) -> Iterator[tuple[str, bytes]]:
    for name, content in members(packages["tuxpaint-stamps-default"], _STAMPS):
        if name.endswith(".png") and class_of(name.removeprefix(_STAMPS)):
            yield name.removeprefix(_STAMPS), content


def _resources(packages: dict[str, Path]) -> Iterator[tuple[str, bytes]]:
    wanted = {start.split("/")[0] for start in _CLASSES}
    for name, content in members(packages["gcompris-qt-data"], _RESOURCES):
        activity = PurePosixPath(name).stem
        if activity in wanted:
            for path, picture in resources(content):
                if path.endswith(".webp"):
                    yield f"{activity}/{'/'.join(path.split('/')[-2:])}", picture


def _on_white(content: bytes) -> Any:
    """Return the picture as RGB, made small enough."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra("pillow", "image") from None
    with Image.open(io.BytesIO(content), formats=("PNG", "WEBP")) as opened:
        cut_out = opened.convert("RGBA")
    picture = Image.new("RGBA", cut_out.size, "white")
    picture.alpha_composite(cut_out)
    picture.thumbnail((PIXELS_AT_MOST, PIXELS_AT_MOST))
    return picture.convert("RGB")


def _notice(package: Path) -> bytes:
    return next(c for name, c in members(package, "usr/share/doc/") if name.endswith("/copyright"))
