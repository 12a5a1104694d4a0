"""Texts as how long they are."""

from __future__ import annotations

import numpy as np

from headstart.evaluation.simple.contract import Descriptor


class Length(Descriptor):
    name = "toy-descriptor"
    kind = "text"
    strengths = (0.1, 1.0)
    usual = 1.0
    told = "the number of characters"

    def read(self, example, preprocess):
        return np.array([len(str(example.inputs["text"]))], np.float32)


descriptor = Length()
