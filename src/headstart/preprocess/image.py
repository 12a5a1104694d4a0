"""Pictures to pixel arrays, by the image processor that the backbone was trained with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from headstart.data.isolation import open_image
from headstart.errors import CheckpointError, first_line
from headstart.preprocess.contract import Preprocess
from headstart.types import Example

_MAX_SIDE = 4096  # networks look at a few hundred pixels a side


class ImagePreprocess(Preprocess):
    """Wrap an image processor of transformers that works with Pillow alone."""

    kind = "image"

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        settings = {k: v for k, v in processor.to_dict().items() if k != "image_processor_type"}
        state = f"image {type(processor).__name__} {json.dumps(settings, sort_keys=True, default=str)}"
        self.fingerprint = xxhash.xxh3_128(state.encode()).hexdigest()

    @classmethod
    def open(cls, folder: Path) -> ImagePreprocess:
        """Read preprocessor_config.json of a folder in hub layout."""
        from transformers import AutoImageProcessor

        try:
            processor = AutoImageProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, backend="pil"
            )
            _try(processor)
        except Exception as error:  # several unrelated types, depending on what is wrong with the file
            raise CheckpointError(
                f"`{folder}` has no image processor that can be read: {first_line(error)}",
                "the folder needs a preprocessor_config.json that transformers knows",
            ) from error
        return cls(processor)

    def decode(self, example: Example) -> np.ndarray:
        """Return the picture's pixels as the backbone reads them, [C, H, W] float32."""
        picture = open_image(Path(example.inputs["image"]))
        return np.asarray(self.processor(picture, return_tensors="np")["pixel_values"][0], dtype=np.float32)

    def batch(self, decoded: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        return {"pixel_values": np.stack(decoded)}

    def save(self, folder: Path) -> None:
        self.processor.save_pretrained(folder)


def _try(processor: Any) -> None:
    """Raise for settings that can be read, and still make no picture, or one that fills the memory."""
    sides = [side for name in ("size", "crop_size") for side in (processor.to_dict().get(name) or {}).values()]
    if max(filter(None, sides), default=0) > _MAX_SIDE:
        raise ValueError(f"it makes pictures of more than {_MAX_SIDE} pixels a side")
    processor(np.zeros((8, 8, 3), np.uint8), return_tensors="np")
