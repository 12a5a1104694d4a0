"""Folders of pictures; the layouts are those of `MediaFolder`."""

from __future__ import annotations

from typing import ClassVar

from headstart.data.media_folder import MediaFolder
from headstart.types import Kind


class ImageFolder(MediaFolder):
    name: ClassVar[str] = "image-folder"
    kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    kind: ClassVar[Kind] = "image"
    noun: ClassVar[str] = "picture"
    ending: ClassVar[str] = "jpg"


format = ImageFolder()
