"""Folders of recordings; the layouts are those of `MediaFolder`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from headstart.data.media_folder import MediaFolder
from headstart.types import Kind


class AudioFolder(MediaFolder):
    name: ClassVar[str] = "audio-folder"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio",)
    kind: ClassVar[Kind] = "audio"
    noun: ClassVar[str] = "recording"
    ending: ClassVar[str] = "wav"

    def write(self, path: Path, number: int) -> None:
        import numpy as np
        import soundfile

        soundfile.write(path, 0.5 * np.sin(0.01 * (number + 1) * np.arange(4_000)), 16_000)


format = AudioFolder()
