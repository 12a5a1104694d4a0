"""Plant known faults in real data and measure what `headstart check` finds: `python scripts/planted_faults.py`

Copies and flipped labels go into the catalogue's photos, sentences and voice commands. Half of the examples, by a hash
of their content, are for choosing thresholds (`--half tune`); what is published was measured on the other half.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

import headstart
from headstart import assets
from headstart.data.walk import walk

EXACT, NEAR = 20, 40
FLIPPED = 0.08


@dataclass
class Truth:
    """What was planted: the source of every copy by its name, by kind of copy, and the names of flipped labels."""

    source: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    flipped: set[str] = field(default_factory=set)

    def add(self, copy: str, source: str, made: str) -> None:
        self.source[copy], self.made[copy] = source, made


def in_half(content: bytes, half: str) -> bool:
    return (xxhash.xxh3_64_intdigest(content) % 2 == 0) == (half == "tune")


# Pictures


def jpeg(image: Any, draw: random.Random, path: Path) -> Path:
    image.save(path.with_suffix(".jpg"), quality=draw.randint(50, 90))
    return path.with_suffix(".jpg")


def scaled(image: Any, draw: random.Random, path: Path) -> Path:
    factor = draw.uniform(0.4, 0.8)
    image.resize((round(image.width * factor), round(image.height * factor))).save(path)
    return path


def cropped(image: Any, draw: random.Random, path: Path) -> Path:
    left, top, right, bottom = (draw.uniform(0, 0.06) for _ in range(4))
    box = (left * image.width, top * image.height, (1 - right) * image.width, (1 - bottom) * image.height)
    image.crop(tuple(map(round, box))).save(path)
    return path


def brightened(image: Any, draw: random.Random, path: Path) -> Path:
    from PIL import ImageEnhance

    ImageEnhance.Brightness(image).enhance(draw.choice([0.8, 0.9, 1.1, 1.2])).save(path)
    return path


def plant_photos(folder: Path, half: str, draw: random.Random) -> Truth:
    from headstart.data.media import open_image

    truth = Truth()
    shutil.copytree(assets.get("photos"), folder, ignore=shutil.ignore_patterns("*.md", "*.json", "copyright*"))
    files = [path for path in walk(folder) if path.suffix == ".png"]
    files = [path for path in files if in_half(path.read_bytes(), half)]
    draw.shuffle(files)
    for number, path in enumerate(files[:EXACT]):
        plant_exact(folder, path, number, truth)
    for number, path in enumerate(files[EXACT : EXACT + NEAR]):
        way = [jpeg, scaled, cropped, brightened][number % 4]
        altered = way(open_image(path), draw, place_of_copy(folder, path, EXACT + number))
        truth.add(name_in(folder, altered), name_in(folder, path), way.__name__)
    flip_folders(folder, files[EXACT + NEAR :], truth, draw)
    return truth


def flip_folders(folder: Path, files: list[Path], truth: Truth, draw: random.Random) -> None:
    """Move some training pictures into the folder of another class."""
    classes = sorted(path.name for path in (folder / "train").iterdir())
    train = [path for path in files if path.parts[-3] == "train"]
    for path in train[: round(FLIPPED * len(list((folder / "train").glob("*/*"))))]:
        other = draw.choice([name for name in classes if name != path.parent.name])
        target = path.rename(folder / "train" / other / f"flipped-{path.parent.name}-{path.name}")
        truth.flipped.add(name_in(folder, target))


def plant_exact(folder: Path, path: Path, number: int, truth: Truth) -> None:
    target = place_of_copy(folder, path, number)
    shutil.copyfile(path, target)
    truth.add(name_in(folder, target), name_in(folder, path), "exact")


def place_of_copy(folder: Path, path: Path, number: int) -> Path:
    """Return where a copy goes: into the same class of the other split."""
    other = "train" if path.parts[-3] == "test" else "test"
    return folder / other / path.parent.name / f"planted-{number}{path.suffix}"


def name_in(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


# Texts


def capitals(text: str, draw: random.Random) -> str:
    return draw.choice([text.upper(), text.title(), text.capitalize()])


def marks(text: str, draw: random.Random) -> str:
    return text.rstrip(".!? ") + draw.choice(["!", "!!", " ...", "?", ""]) + " "


def word(text: str, draw: random.Random) -> str:
    words = text.split()
    words[draw.randrange(len(words))] = draw.choice(["really", "thing", "maybe", "camera", "it"])
    return " ".join(words)


def plant_sentiment(folder: Path, half: str, draw: random.Random) -> Truth:
    truth = Truth()
    source = assets.get("sentiment")
    rows = {name: list(csv.DictReader((source / f"{name}.csv").open(encoding="utf-8"))) for name in ("train", "test")}
    of_half = [(name, n) for name in rows for n in range(len(rows[name])) if usable(rows[name][n]["text"], half)]
    draw.shuffle(of_half)
    ways = [capitals, marks, word]
    for number, (name, place) in enumerate(of_half[: EXACT + NEAR]):
        other = "train" if name == "test" else "test"
        text = rows[name][place]["text"]
        way = ways[number % len(ways)]
        made = "exact" if number < EXACT else way.__name__
        new = text if number < EXACT else way(text, draw)
        rows[other].append({**rows[name][place], "text": new, "group": f"planted {number}"})
        truth.add(f"{other}.csv row {len(rows[other])}", f"{name}.csv row {place + 1}", made)
    train = [place for name, place in of_half[EXACT + NEAR :] if name == "train"]
    for place in train[: round(FLIPPED * len(rows["train"]))]:
        row = rows["train"][place]
        row["label"] = "negative" if row["label"] == "positive" else "positive"
        truth.flipped.add(f"train.csv row {place + 1}")
    folder.mkdir()
    for name, found in rows.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(found[0]))
            writer.writeheader()
            writer.writerows(found)
    return truth


def usable(text: str, half: str) -> bool:
    return len(text.split()) >= 4 and in_half(text.encode(), half)


# Recordings


def encoded(samples: np.ndarray, rate: int, draw: random.Random, path: Path) -> Path:
    import soundfile

    target = path.with_suffix(draw.choice([".ogg", ".mp3"]))
    soundfile.write(target, samples, rate)
    return target


def louder(samples: np.ndarray, rate: int, draw: random.Random, path: Path) -> Path:
    return write_wav((samples * draw.choice([0.3, 0.5, 1.5])).clip(-1, 1), rate, path)


def noisier(samples: np.ndarray, rate: int, draw: random.Random, path: Path) -> Path:
    noise = np.random.default_rng(draw.randrange(1 << 30)).normal(0, samples.std() * 10 ** (-25 / 20), len(samples))
    return write_wav(samples + noise, rate, path)


def shifted(samples: np.ndarray, rate: int, draw: random.Random, path: Path) -> Path:
    silence = np.zeros(round(draw.uniform(0.02, 0.3) * rate))
    return write_wav(np.concatenate([silence, samples]), rate, path)


def write_wav(samples: np.ndarray, rate: int, path: Path) -> Path:
    import soundfile

    soundfile.write(path, samples, rate)
    return path


def plant_voice_commands(folder: Path, half: str, draw: random.Random) -> Truth:
    import soundfile

    truth = Truth()
    shutil.copytree(assets.get("voice-commands"), folder, ignore=shutil.ignore_patterns("*.md", "*.json", "copyright*"))
    files = [path for path in walk(folder) if path.suffix == ".wav" and in_half(path.read_bytes(), half)]
    draw.shuffle(files)
    for number, path in enumerate(files[:EXACT]):
        plant_exact(folder, path, number, truth)
    for number, path in enumerate(files[EXACT : EXACT + NEAR]):
        way = [encoded, louder, noisier, shifted][number % 4]
        samples, rate = soundfile.read(path)
        altered = way(samples, rate, draw, place_of_copy(folder, path, EXACT + number))
        truth.add(name_in(folder, altered), name_in(folder, path), way.__name__)
    return truth


def plant_voices(folder: Path, half: str, draw: random.Random) -> Truth:
    """Label the same recordings by voice, and flip some labels: with one recording a word, words cannot be wrong."""
    truth = Truth()
    source = assets.get("voice-commands")
    voices = {"train": "one", "test": "other"}
    files = [path for path in walk(source) if path.suffix == ".wav"]
    draw.shuffle(files)
    chosen = [path for path in files if in_half(path.read_bytes(), half)][: round(FLIPPED * len(files))]
    for path in files:
        voice = voices[path.parts[-3]]
        label = voice if path not in chosen else next(name for name in voices.values() if name != voice)
        target = folder / label / f"{voice}-{path.parent.name}-{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        if path in chosen:
            truth.flipped.add(name_in(folder, target))
    return truth


PLANT: dict[str, Callable[[Path, str, random.Random], Truth]] = {
    "photos": plant_photos,
    "sentiment": plant_sentiment,
    "voice-commands": plant_voice_commands,
    "voices": plant_voices,
}


# What was found of it


def measure(name: str, half: str, seed: int) -> dict[str, Any]:
    """Plant, check, and return the counts."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        truth = PLANT[name](folder, half, random.Random(seed))
        started = time.perf_counter()
        found = headstart.check(folder)
        seconds = time.perf_counter() - started
    measured = {"examples": len(found.dataset.examples), "seconds": seconds}
    measured["exact"] = duplicates(found, "duplicates-across-splits", truth, {"exact"})
    measured["near"] = duplicates(found, "near-duplicates-across-splits", truth, set(truth.made.values()) - {"exact"})
    measured["labels"] = suspects(found, truth)
    return measured


def duplicates(found: Any, kind: str, truth: Truth, ways: set[str]) -> dict[str, Any]:
    """Count planted pairs that were found, pairs with a copy that are wrong, and pairs that nobody planted."""
    problem = found.problem(kind)
    pairs = [frozenset(case.names) for case in problem.cases] if problem else []
    origin = {name: truth.source.get(name, name) for pair in pairs for name in pair}
    right = [pair for pair in pairs if len({origin[name] for name in pair}) == 1]
    copies = {copy for copy, made in truth.made.items() if made in ways}
    missed = sorted((truth.made[copy], copy) for copy in copies if not any(copy in pair for pair in right))
    planted = [pair for pair in pairs if pair & set(truth.source)]
    return {
        "planted": len(copies),
        "found": len(copies) - len(missed),
        "wrong": [sorted(pair) for pair in planted if pair not in right],
        "already": [sorted(pair) for pair in pairs if pair not in planted],
        "missed": missed,
    }


def suspects(found: Any, truth: Truth) -> dict[str, Any]:
    """Count flipped labels among the suspects, and among the first of them, up to 5 % of the examples."""
    hits = [case.names[0] in truth.flipped for case in found.label_suspects]
    first = hits[: len(found.dataset.examples) // 20]
    return {
        "flipped": len(truth.flipped),
        "base": len(truth.flipped) / len(found.dataset.examples),
        "suspects": len(hits),
        "right": sum(hits),
        "first": len(first),
        "first_right": sum(first),
    }


def rows(name: str, runs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a row for each kind of fault, of all draws together."""
    examples = " / ".join(str(run["examples"]) for run in runs)
    for kind in ("exact", "near"):
        planted, found = (sum(run[kind][part] for run in runs) for part in ("planted", "found"))
        wrong, already = (sum(len(run[kind][part]) for run in runs) for part in ("wrong", "already"))
        if planted:
            precision, recall = found / max(found + wrong, 1), found / planted
            told = f"{already} pairs that were there before"
            yield f"| {name} | {kind} duplicates | {examples} | {planted} | {precision:.3f} | {recall:.3f} | {told} |"
    total = {part: sum(run["labels"][part] for run in runs) for part in runs[0]["labels"]}
    if total["flipped"]:
        base, share = total["base"] / len(runs), total["first_right"] / max(total["first"], 1)
        precision, recall = total["right"] / max(total["suspects"], 1), total["right"] / total["flipped"]
        told = f"first 5 %: {share:.2f}, {share / base:.1f} times the base rate of {base:.3f}"
        yield f"| {name} | flipped labels | {examples} | {total['flipped']} | {precision:.2f} | {recall:.2f} | {told} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="DATA", help=f"of {', '.join(PLANT)}; default: all")
    parser.add_argument("--half", choices=("tune", "report"), default="report")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--show", action="store_true", help="list what was missed, wrong, or there already")
    options = parser.parse_args()
    print("| data | fault | examples | planted | precision | recall | besides |\n|---|---|---|--:|--:|--:|---|")
    for name in options.names or PLANT:
        runs = [measure(name, options.half, seed) for seed in options.seeds]
        print("\n".join(rows(name, runs)), flush=True)
        seconds = ", ".join(f"{run['seconds']:.0f} s" for run in runs)
        print(f"{name}: {seconds}", file=sys.stderr)
        for run in runs if options.show else ():
            for kind in ("exact", "near"):
                print(kind, {part: run[kind][part] for part in ("missed", "wrong", "already")}, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
