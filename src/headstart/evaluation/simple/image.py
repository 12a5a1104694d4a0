"""Pictures as their colours and the directions of their edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.data.isolation import open_image
from headstart.evaluation.simple.contract import Descriptor
from headstart.preprocess.contract import Preprocess
from headstart.types import Example

SIDE = 64  # pixels
CELL = 8  # pixels a side, for which directions are counted
DIRECTIONS = 9  # from 0 to 180 degrees
BINS = (8, 4, 4)  # of hue, saturation, value
GRID = 4  # parts a side, for which mean colours are taken


class ImageDescriptor(Descriptor):
    """A histogram of colours, mean colours on a grid, and histograms of oriented gradients (Dalal, N. & Triggs, B.
    (2005). Histograms of oriented gradients for human detection. CVPR).
    """  # fmt: skip

    name = "image"
    kind = "image"
    strengths = (0.0001, 0.001, 0.01, 0.1, 1.0)
    usual = 0.001
    told = "histograms of colours and of the directions of edges"

    def read(self, example: Example, preprocess: Preprocess) -> np.ndarray:
        """Return the numbers of one picture, [D] float32."""
        picture = open_image(Path(example.inputs["image"])).resize((SIDE, SIDE))
        pixels = np.asarray(picture, np.float32) / 255
        hues = np.asarray(picture.convert("HSV"), np.float32).reshape(-1, 3)
        colours, _ = np.histogramdd(hues, BINS, range=[(0, 256)] * 3)
        parts = pixels.reshape(GRID, SIDE // GRID, GRID, SIDE // GRID, 3)
        numbers = [np.sqrt(colours / len(hues)), parts.mean((1, 3)), parts.std((1, 3)), gradients(pixels.mean(2))]
        return np.concatenate([one.ravel() for one in numbers]).astype(np.float32)


def gradients(grey: np.ndarray) -> np.ndarray:
    """Return histograms of oriented gradients of a picture [H, W]: [cells - 1, cells - 1, 4 * directions].

    Each block of 2 x 2 cells has length 1, so that light and contrast matter less.
    """
    down, right = np.gradient(grey)
    direction = (np.arctan2(down, right) % np.pi / np.pi * DIRECTIONS).astype(int) % DIRECTIONS
    cells = len(grey) // CELL
    rows, columns = np.indices(grey.shape) // CELL
    places = (rows * cells + columns) * DIRECTIONS + direction
    counts = np.bincount(places.ravel(), np.hypot(down, right).ravel(), minlength=cells * cells * DIRECTIONS)
    grid = counts.reshape(cells, cells, DIRECTIONS)
    blocks = np.concatenate([grid[:-1, :-1], grid[1:, :-1], grid[:-1, 1:], grid[1:, 1:]], axis=-1)
    return blocks / (np.linalg.norm(blocks, axis=-1, keepdims=True) + 0.1)


descriptor = ImageDescriptor()
