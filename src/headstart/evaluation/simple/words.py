"""Words as themselves, their endings and shape, and the words beside them: for tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain

from headstart.evaluation.simple.contract import Describe, Descriptor
from headstart.preprocess.contract import Preprocess
from headstart.preprocess.text import TextPreprocess
from headstart.types import Example

BEYOND = ""  # the first and the last word have this beside them


class WordDescriptor(Descriptor):
    """What taggers read before networks (Ratnaparkhi, A. (1996). A maximum entropy model for part-of-speech tagging).

    A word is described by itself and by the two on either side.
    """

    name = "words"
    kind = "text"
    per_step = True
    strengths = (0.01, 0.1, 1.0, 10.0, 100.0)
    usual = 1.0
    told = "each word, its ending and shape, and the two words on either side"

    def read(self, example: Example, preprocess: Preprocess) -> list[list[str]]:
        """Return the names of what holds for each word that the backbone reads, so that both are judged alike."""
        words = str(example.inputs["text"]).split()
        steps = preprocess.word_steps(example) if isinstance(preprocess, TextPreprocess) else [0] * len(words)
        padded = [BEYOND, BEYOND, *words, BEYOND, BEYOND]
        return [list(_facts(padded[place : place + 5])) for place, step in enumerate(steps) if step >= 0]

    def learn(self, read: Sequence[list[list[str]]], *, width: int) -> Describe:
        from sklearn.feature_extraction.text import CountVectorizer

        counter = CountVectorizer(analyzer=lambda facts: facts, binary=True, max_features=width)
        counter.fit(chain.from_iterable(read))
        return lambda read: counter.transform(list(chain.from_iterable(read))).astype(float)


def _facts(window: Sequence[str]) -> Iterable[str]:
    """Yield what holds for the word in the middle of five."""
    word = window[2]
    yield from (f"{place}={other.lower()}" for place, other in enumerate(window))
    yield from (f"shape {place}={_shape(window[place])}" for place in (1, 2, 3))
    yield from (f"ends={word[-length:].lower()}" for length in (1, 2, 3, 4) if len(word) > length)
    yield from (f"begins={word[:length].lower()}" for length in (2, 3) if len(word) > length)
    yield "any"


def _shape(word: str) -> str:
    """Return `Xx` for `Anna`, `d-d` for `3-15`: kinds of characters without their repetitions."""
    kinds = ("d" if c.isdigit() else "X" if c.isupper() else "x" if c.isalpha() else c for c in word)
    return re.sub(r"(.)\1+", r"\1", "".join(kinds))


descriptor = WordDescriptor()
