"""Sentences of product reviews with the mean rating of 20 people (Hutto and Gilbert, ICWSM 2014)."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from headstart.assets.builders.readme import write_readme
from headstart.assets.builders.split import fixed_split
from headstart.assets.contract import Asset
from headstart.assets.packages import members, tar_members

NEUTRAL_AT_MOST = 0.5
COLUMNS = ("text", "label", "score", "group")

_INNER = "/additional_resources/hutto_ICWSM_2014.tar.gz"
_RATINGS = "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt"

Row = tuple[str, str, float, str]


def build(asset: Asset, packages: dict[str, Path], folder: Path) -> None:
    """Write `train.csv` and `test.csv` with the columns text, label, score, group; no review is in both."""
    files = dict(members(packages["vaderSentiment"]))
    (inner,) = (content for name, content in files.items() if name.endswith(_INNER))
    ratings = dict(tar_members(io.BytesIO(inner), "r|gz"))[_RATINGS].decode("ascii")
    rows = parse(ratings)
    of_split: dict[str, list] = {"train": [], "test": []}
    splits = {group: split for split, group in fixed_split({row[3] for row in rows})}
    for row in rows:
        of_split[splits[row[3]]].append(row)
    for split, chosen in of_split.items():
        _write(folder / f"{split}.csv", chosen)
    (licence,) = (content for name, content in files.items() if name.endswith("/LICENSE.txt"))
    write_readme(asset, folder, {"LICENSE.txt": licence})


def parse(ratings: str) -> list[Row]:
    """Read lines of `review_sentence <tab> score <tab> text`.

    Neutral sentences and repeated texts are left out.
    """
    rows, seen = [], set()
    for line in ratings.splitlines():
        key, number, text = line.split("\t", 2)
        text, score = " ".join(text.split()), float(number)
        if abs(score) <= NEUTRAL_AT_MOST or not text or text.casefold() in seen:
            continue
        seen.add(text.casefold())
        rows.append((text, "positive" if score > 0 else "negative", score, key.split("_")[0]))
    return rows


def _write(file: Path, rows: list[Row]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
