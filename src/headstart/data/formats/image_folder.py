"""Folders of pictures; the layouts are those of `MediaFolder`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from headstart.data.media_folder import MediaFolder
from headstart.types import Kind


class ImageFolder(MediaFolder):
    name: ClassVar[str] = "image-folder"
    kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    kind: ClassVar[Kind] = "image"
    noun: ClassVar[str] = "picture"
    ending: ClassVar[str] = "jpg"

    def write(self, path: Path, number: int) -> None:
        from PIL import Image

        Image.new("RGB", (32, 32), (20 * number, 100, 200)).save(path)


format = ImageFolder()
