"""Folders of recordings; the layouts are those of `MediaFolder`."""

from __future__ import annotations

from typing import ClassVar

from headstart.data.media_folder import MediaFolder
from headstart.types import Kind


class AudioFolder(MediaFolder):
    name: ClassVar[str] = "audio-folder"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio",)
    kind: ClassVar[Kind] = "audio"
    noun: ClassVar[str] = "recording"
    ending: ClassVar[str] = "wav"


format = AudioFolder()
