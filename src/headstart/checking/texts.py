"""Texts that say the same: written in other cases or with other marks, or with a word or two changed."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import xxhash

from headstart.checking.neighbours import Pair

SHINGLE = 5  # characters
READ_CHARACTERS = 20_000
BANDS, ROWS = 16, 4
ALIKE = 0.6
FEWEST_WORDS = 5  # from so many on, texts that differ in one word are taken for the same
_MOST_WORDS = 64  # longer ones with one word changed share most of their shingles anyway
_LINKS = 4
_BASE = np.uint64(0x9E3779B97F4A7C15)


def near_texts(texts: Sequence[str], *, candidates: Iterable[Pair] = ()) -> dict[Pair, float]:
    """Return pairs of texts that differ in one word, or share most of what they are made of.

    Shared is the Jaccard index of the sets of five characters in a row, without case and marks. Pairs to compare
    are found by MinHash with banding, so that not all are compared.

    Broder, A. Z. (1997). On the resemblance and containment of documents. Sequences.

    Args:
        candidates: pairs to compare besides.
    """
    words = [words_of(text[:READ_CHARACTERS]) for text in texts]
    shingles = [_shingles(" ".join(one)) for one in words]
    one_off = set(_sharing(_one_word_less(one) for one in words))
    found = {}
    for pair in one_off | set(_sharing(map(_bands, shingles))) | set(candidates):
        one, other = pair
        score = _jaccard(shingles[one], shingles[other])
        if pair in one_off or score >= ALIKE:
            found[pair] = score
    return found


def words_of(text: str) -> list[str]:
    """Return the words of a text without case, marks and forms of Unicode."""
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def _shingles(text: str) -> np.ndarray:
    """Return a number for each set of five characters in a row, sorted, without repetition."""
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    if len(codes) < SHINGLE:
        return np.unique(codes)
    powers = _BASE ** np.arange(1, SHINGLE + 1, dtype=np.uint64)
    return np.unique(np.lib.stride_tricks.sliding_window_view(codes, SHINGLE) @ powers)


def _jaccard(one: np.ndarray, other: np.ndarray) -> float:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / max(len(one) + len(other) - shared, 1)


_RANDOM = np.random.default_rng(0)
_FACTORS = _RANDOM.integers(1 << 62, size=BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
_TERMS = _RANDOM.integers(1 << 62, size=BANDS * ROWS, dtype=np.uint64)


def _bands(shingles: np.ndarray) -> list[int]:
    """Return what texts with many shingles in common probably share: a hash of each band of the signature."""
    if not len(shingles):
        return []
    signature = ((shingles[:, None] * _FACTORS + _TERMS) >> np.uint64(32)).min(0).reshape(BANDS, ROWS)
    return [xxhash.xxh3_64_intdigest(row.tobytes(), seed=number) for number, row in enumerate(signature)]


def _one_word_less(words: list[str]) -> list[int]:
    """Return a hash of the words, and of what is left when each of them is taken out; a word apart, two share one."""
    parts = [words] if words else []
    if FEWEST_WORDS <= len(words) <= _MOST_WORDS:
        parts += [words[:place] + words[place + 1 :] for place in range(len(words))]
    return [xxhash.xxh3_64_intdigest("\0".join(part).encode("utf-8", "replace")) for part in parts]


def _sharing(keys: Iterable[Iterable[int]]) -> Iterator[Pair]:
    """Yield pairs that have a key in common; of many with the same key each is paired with a few others."""
    having: defaultdict[int, list[int]] = defaultdict(list)
    for number, found in enumerate(keys):
        for key in set(found):
            having[key].append(number)
    for members in having.values():
        for place, number in enumerate(members):
            for other in {*members[: min(place, _LINKS)], *members[max(0, place - _LINKS) : place]}:
                yield other, number
