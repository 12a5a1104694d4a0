"""Italian words for one-shot learning: one recording in one voice to learn from, one in another as test."""

from __future__ import annotations

import gzip
import re
import unicodedata
from pathlib import Path

from headstart.assets.builders.readme import write_readme
from headstart.assets.contract import Asset
from headstart.assets.packages import members
from headstart.errors import DataError

WORDS = 96
LETTERS_AT_LEAST = 4

_TRAIN, _TEST = "asterisk-core-sounds-it-wav", "asterisk-prompt-it-menardi-wav"
_TEXTS = "asterisk-core-sounds-it"
_SOUNDS = re.compile(r"usr/share/asterisk/sounds/[^/]+/(.+)\.wav")
# Names of letters and signs are spelled, those of protocols are English.
_NOT_WORDS = ("letters/", "phonetic/", "spy-")


def build(asset: Asset, packages: dict[str, Path], folder: Path) -> None:
    """Write `train/<word>/<key>.wav` and `test/<word>/<key>.wav`, 8 kHz mono, as the packages hold them."""
    voices = {"train": _recordings(packages[_TRAIN]), "test": _recordings(packages[_TEST])}
    both = voices["train"].keys() & voices["test"].keys()
    for word, key in choose(_texts(packages[_TEXTS]), both).items():
        for split, recordings in voices.items():
            file = folder / split / word / f"{key.replace('/', '-')}.wav"
            file.parent.mkdir(parents=True)
            file.write_bytes(recordings[key])
    write_readme(asset, folder, {f"copyright-{name}": _notice(packages[name]) for name in (_TRAIN, _TEST)})


def choose(texts: dict[str, str], keys: set[str]) -> dict[str, str]:
    """Return word and key of the shortest single-word prompts, each word once."""
    words: dict[str, str] = {}
    for key, text in sorted(texts.items()):
        word = unicodedata.normalize("NFC", text).strip(" .!").casefold()
        if key in keys and word.isalpha() and len(word) >= LETTERS_AT_LEAST and not key.startswith(_NOT_WORDS):
            words[word] = key
    shortest = sorted(words, key=lambda word: (len(word), word))[:WORDS]
    return {word: words[word] for word in shortest}


def _recordings(package: Path) -> dict[str, bytes]:
    found = ((_SOUNDS.fullmatch(name), content) for name, content in members(package))
    return {match[1]: content for match, content in found if match}


def _texts(package: Path) -> dict[str, str]:
    """Read `key: text` lines."""
    (packed,) = (c for name, c in members(package) if name.endswith("/core-sounds-it.txt.gz"))
    lines = gzip.decompress(packed).decode("utf-8-sig", "replace").splitlines()
    pairs = (line.partition(": ") for line in lines if not line.startswith(";"))
    return {key.strip(): text.strip() for key, colon, text in pairs if colon}


def _notice(package: Path) -> bytes:
    for name, content in members(package, "usr/share/doc/"):
        if name.endswith("/copyright"):
            return content
    raise DataError(f"`{package.name}` has no copyright file", "obtain it again")
