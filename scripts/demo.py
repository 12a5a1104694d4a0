"""The main job on real data: photos, texts and voice commands, each from labelled examples to a model with its report.

What cannot be obtained on this machine is left out, and it says so; the exit code is 1 when photos or texts are.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import sys
import time
from pathlib import Path

from headstart import api, assets, console
from headstart.backbones import open_backbone
from headstart.data.dataset import open_dataset
from headstart.durable import write_durably
from headstart.errors import HeadstartError
from headstart.events import Listener
from headstart.features.cache import FeatureCache
from headstart.model import RECORD, Model
from headstart.ranking.defaults import choose_engine
from headstart.ranking.depths import probe_depths
from headstart.reporting.report import write_report
from headstart.summary import summary_lines
from headstart.tasks.contract import find_task
from headstart.training.recipe import Recipe

LABELS_A_CLASS = 50


def photos(folder: Path, listener: Listener) -> Model:
    """Sort 12 classes of photos: a handful to a few dozen a class to learn from, the rest to judge on."""
    return api.fit(assets.get("photos"), output_dir=folder, scratch_minutes=0.0, listener=listener)


def texts(folder: Path, listener: Listener) -> Model:
    """Tell praise from complaint in sentences of product reviews, from 50 labels a class."""
    source, data = assets.get("sentiment"), folder.parent / "texts-data"
    data.mkdir()
    with (source / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    few = [row for label in ("negative", "positive") for row in _of(rows, label)[:LABELS_A_CLASS]]
    with (data / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(few)
    shutil.copy(source / "test.csv", data / "test.csv")
    return api.fit(data, output_dir=folder, scratch_minutes=0.0, listener=listener)


def voice_commands(folder: Path, listener: Listener) -> Model:
    """Recognise 96 Italian words in a voice never heard, from one recording each, and show the score by depth."""
    data = assets.get("voice-commands")
    model = api.fit(data, output_dir=folder, scratch_minutes=0.0, listener=listener)
    record, dataset = model.record, open_dataset(data)
    # Nothing is chosen by these scores: they are taken on the test voice to show that depth matters.
    depths = probe_depths(
        dataset, open_backbone(record.backbone, examples=dataset.examples), find_task(record.task)[0].of(dataset),
        engine=choose_engine(Recipe()), cache=FeatureCache(), split="test", listener=listener,
    )  # fmt: skip
    record = dataclasses.replace(record, depths=depths)
    write_durably(folder / RECORD, json.dumps(record.to_dict(), indent=1).encode())
    write_report(record, folder)
    for row in depths:
        bar = "█" * round(40 * row["score"])
        console.say(
            f"  read after block {row['keep']}  {row['score']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}] {bar}"
        )
    return model


PARTS = {"photos": photos, "texts": texts, "voice commands": voice_commands}
NEEDED = {"photos": ("efficientnet-lite0", "photos"), "texts": ("minilm-l6", "sentiment"),
          "voice commands": ("whisper-tiny.en", "voice-commands")}  # fmt: skip


def main(output: Path) -> int:
    """Run all parts and return the exit code."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    left_out = []
    for name, part in PARTS.items():
        try:
            with console.listening() as listener:
                for asset in NEEDED[name]:
                    console.note(f"obtaining {asset}" if not assets.present(asset) else f"{asset} is here")
                    assets.get(asset)
                console.say(f"\n── {name}: {part.__doc__}")
                started = time.perf_counter()
                model = part(output / name.replace(" ", "-"), listener)
            for line in summary_lines(model.record, model.folder):
                console.say(line)
            console.say(f"({time.perf_counter() - started:.0f} s in all)")
        except HeadstartError as error:
            console.say(f"── {name}: left out. {error}")
            left_out.append(name)
    return 1 if {"photos", "texts"} & set(left_out) else 0


def _of(rows: list[dict[str, str]], label: str) -> list[dict[str, str]]:
    """Return the rows of one class, evenly over the whole table."""
    found = [row for row in rows if row["label"] == label]
    return found[:: max(1, len(found) // LABELS_A_CLASS)]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
