"""What a descriptor promises: numbers for examples of one kind that need no pre-training, for a linear model.

A descriptor is one file; `descriptor = MyDescriptor()` in it registers it for its kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from headstart.preprocess.contract import Preprocess
from headstart.types import Example, Kind

Describe = Callable[[Sequence[Any]], Any]
"""From what was read of N examples to a matrix, dense or sparse: [N, D], or a row a word."""


class Descriptor(ABC):
    """Describe examples as people did before networks were pre-trained.

    Attributes:
        name: unique among descriptors. kind: what it reads.
        per_step: it gives a row for each word instead of one an example.
        strengths: of the fit, from loose to close, of which validation chooses.
        usual: the strength where there is no validation split.
        told: what it is, as a clause.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    per_step: ClassVar[bool] = False
    strengths: ClassVar[tuple[float, ...]]
    usual: ClassVar[float]
    told: ClassVar[str]

    @abstractmethod
    def read(self, example: Example, preprocess: Preprocess) -> Any:
        """Return what is looked at in one example.

        Args:
            preprocess: of the backbone, which says how inputs become steps.

        Raises:
            UnreadableFile: the file is damaged, empty, or not what its name says.
        """

    def learn(self, read: Sequence[Any], *, width: int) -> Describe:
        """Return how to describe examples, with all that must be learnt for it from the training examples.

        Args:
            read: of the training examples. width: D at most, where it depends on the data.
        """
        return np.stack
