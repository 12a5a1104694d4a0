"""Texts to token ids, by the tokenizer that the backbone was trained with."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from headstart.errors import CheckpointError, UnreadableFile, first_line
from headstart.preprocess.contract import Preprocess
from headstart.types import Example

# The library counts to the highest number whenever it writes a tokenizer down.
_ID_AT_MOST = 10_000_000
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model")


class TextPreprocess(Preprocess):
    """Wrap a fast tokenizer of transformers.

    Args:
        max_steps: longer texts are cut to this many tokens, special ones included.
    """

    kind = "text"

    def __init__(self, tokenizer: Any, max_steps: int) -> None:
        self.tokenizer = tokenizer
        self.max_steps = max_steps
        # The state of truncation and padding changes with use; we set both ourselves.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        state = f"text {max_steps} {tokenizer.backend_tokenizer.to_str()}"
        self.fingerprint = xxhash.xxh3_128(state.encode()).hexdigest()

    @classmethod
    def open(cls, folder: Path, max_steps: int) -> TextPreprocess:
        """Read the tokenizer files of a folder in hub layout."""
        from transformers import AutoTokenizer

        try:
            if not any((folder / name).is_file() for name in _VOCABULARIES):
                raise FileNotFoundError(_VOCABULARIES[0])  # transformers would make up a tokenizer without words
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            if max(tokenizer.get_vocab().values()) > _ID_AT_MOST:
                raise ValueError(f"it numbers a token beyond {_ID_AT_MOST:,}")
            steps = min(max_steps, int(tokenizer.model_max_length))
            if steps <= tokenizer.num_special_tokens_to_add(pair=True):
                raise ValueError(f"its texts of {steps} tokens hold no word")
            return cls(tokenizer, steps)
        except Exception as error:  # a dozen unrelated types, depending on which file is damaged
            raise CheckpointError(
                f"`{folder}` has no tokenizer that can be read: {first_line(error)}",
                "the folder needs tokenizer.json, or vocab.txt with tokenizer_config.json",
            ) from error

    def decode(self, example: Example) -> dict[str, list[int]]:
        try:
            "".join(str(text) for text in example.inputs.values()).encode()
        except UnicodeEncodeError:
            raise UnreadableFile(example.name, "holds bytes that are no characters of UTF-8") from None
        encoded = self.tokenizer(
            example.inputs["text"],
            example.inputs.get("text_pair"),
            truncation=True,
            max_length=self.max_steps,
        )
        return {name: encoded[name] for name in self.tokenizer.model_input_names if name in encoded}

    def word_steps(self, example: Example) -> list[int]:
        """Return the step at which each word begins; words are what spaces separate.

        It is -1 for words that the backbone does not read: beyond its window, or of characters that it leaves out.
        """
        text = str(example.inputs["text"])
        encoded = self.tokenizer(text, truncation=True, max_length=self.max_steps, return_offsets_mapping=True)
        ends = [match.end() for match in re.finditer(r"\S+", text)]
        first: dict[int, int] = {}
        for step, (start, end) in enumerate(encoded["offset_mapping"]):
            if end > start:
                first.setdefault(bisect_right(ends, start), step)
        return [first.get(word, -1) for word in range(len(ends))]

    def batch(self, decoded: Sequence[dict[str, list[int]]]) -> dict[str, np.ndarray]:
        """Return `input_ids`, `attention_mask` and, where the tokenizer has them, `token_type_ids`, all [N, T]."""
        steps = max(len(one["input_ids"]) for one in decoded)
        fill = {"input_ids": self.tokenizer.pad_token_id or 0}
        return {
            name: np.array([one[name] + [fill.get(name, 0)] * (steps - len(one[name])) for one in decoded], np.int64)
            for name in decoded[0]
        }

    def save(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder)

    def size(self, example: Example) -> int:
        return sum(len(str(text)) for text in example.inputs.values())

    def shortened(self, example: Example) -> bool:
        """Count tokens only where the number of characters leaves it open."""
        if self.size(example) <= self.max_steps - 4:  # at least one character a token, four special tokens
            return False
        ids = self.tokenizer(example.inputs["text"], example.inputs.get("text_pair"), verbose=False)["input_ids"]
        return len(ids) > self.max_steps
