"""What checks look at: the examples, what decoding them showed, and the vectors that the backbone makes of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from headstart.checking.sketch import Sketch
from headstart.data.dataset import Dataset
from headstart.types import Example, Skipped


@dataclass(frozen=True)
class Evidence:
    """A data set and what is known of it; a check is given what it needs of this.

    Attributes:
        dataset: examples with splits, targets and content hashes.
        sketches: of decoded pictures and recordings, by name; of a part of them where there are very many.
        unreadable: inputs that could not be decoded.
        vectors: [M, D], what the backbone makes of `embedded`, or None where no backbone was run.
        dates: when files were last changed, in seconds, by name. shortened: names of examples that
            are longer than the backbone reads.
    """

    dataset: Dataset
    sketches: Mapping[str, Sketch] = field(default_factory=dict)
    unreadable: tuple[Skipped, ...] = ()
    vectors: np.ndarray | None = None
    embedded: tuple[Example, ...] = ()
    dates: Mapping[str, float] = field(default_factory=dict)
    shortened: Collection[str] = ()

    @property
    def examples(self) -> tuple[Example, ...]:
        return self.dataset.examples

    def label(self, example: Example) -> str | None:
        """Return the one class of an example, None where it has none or several."""
        classes = self.dataset.form.classes(example.target)
        return next(iter(classes)) if len(classes) == 1 and isinstance(example.target, str) else None

    def changed(self, number: int, *, content: str = "", sketch: Sketch | None = None, **changes: Any) -> Evidence:
        """Return the evidence with another example in the place of one: how a fault is planted.

        Args:
            content: its new content hash. sketch: what decoding it shows. changes: to its other attributes.
        """
        old = self.examples[number]
        new = replace(old, **changes)
        examples = tuple(new if example is old else example for example in self.examples)
        hashes = {new.name if name == old.name else name: found for name, found in self.dataset.hashes.items()}
        sketches = {new.name if name == old.name else name: found for name, found in self.sketches.items()}
        hashes |= {new.name: content} if content else {}
        sketches |= {new.name: sketch} if sketch else {}
        labels = tuple(sorted({name for one in examples for name in self.dataset.form.classes(one.target)}))
        dataset = replace(self.dataset, examples=examples, hashes=hashes, labels=labels)
        embedded = tuple(new if example is old else example for example in self.embedded)
        return replace(self, dataset=dataset, sketches=sketches, embedded=embedded)
