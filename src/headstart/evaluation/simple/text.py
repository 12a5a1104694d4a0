"""Texts as weighted counts of their words, pairs of words, and short sequences of characters (TF-IDF)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.evaluation.simple.contract import Describe, Descriptor
from headstart.preprocess.contract import Preprocess
from headstart.types import Example

CHARACTERS = 10_000_000  # of all training examples together, so that counting takes seconds
CHARACTERS_A_TEXT = 4_000  # more than any text encoder here reads


class TextDescriptor(Descriptor):
    """Sublinear TF-IDF of words and characters (Salton, G. & Buckley, C. (1988). Term-weighting approaches in
    automatic text retrieval). Of a pair of texts it has both, and what they share.
    """  # fmt: skip

    name = "text"
    kind = "text"
    strengths = (0.1, 1.0, 10.0, 100.0, 1000.0)
    usual = 10.0
    told = "TF-IDF of words, pairs of words and character n-grams"

    def read(self, example: Example, preprocess: Preprocess) -> list[str]:
        return [str(text)[:CHARACTERS_A_TEXT] for text in example.inputs.values()]

    def learn(self, read: Sequence[list[str]], *, width: int) -> Describe:
        texts = [text for one in read for text in one]
        parts = 1 if len(texts) == len(read) else 3
        most = CHARACTERS // len(texts)
        vectorisers = _vectorisers(width // parts // 2)
        for vectoriser in vectorisers:
            vectoriser.fit([text[:most] for text in texts])

        def counted(read: Sequence[list[str]]) -> Any:
            from scipy import sparse

            sides = [
                sparse.hstack([v.transform([text[:most] for text in side]) for v in vectorisers], "csr")
                for side in zip(*read, strict=True)
            ]
            return sides[0] if parts == 1 else sparse.hstack([*sides, sides[0].multiply(sides[1])], "csr")

        return counted


def _vectorisers(width: int) -> list[Any]:
    """Return counters of words and of characters, neither with more than `width` columns."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return [
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]+", sublinear_tf=True, max_features=width),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=width),
    ]


descriptor = TextDescriptor()
