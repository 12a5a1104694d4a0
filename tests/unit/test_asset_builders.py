"""How data sets are made of packages."""

from __future__ import annotations

import random
import struct

import pytest
from PIL import Image

from headstart.assets.builders import minilm_l3, photos, sentiment, text_messages, voice_commands
from headstart.assets.builders.qt_resources import resources
from headstart.assets.builders.split import fixed_split


def test_the_split_is_fixed_and_sixty_to_forty() -> None:
    names = [f"picture-{n}" for n in range(10)]
    split = {name: side for side, name in fixed_split(names)}
    assert sorted(split.values()) == ["test"] * 4 + ["train"] * 6
    assert split == {name: side for side, name in fixed_split(reversed(names))}
    assert split["picture-0"] == "test"


def test_sentiment_drops_neutral_and_repeated_sentences() -> None:
    ratings = "1_1\t0.5\tit plays.\r\n1_2\t-2.1\tit  broke.\r\n2_1\t3\tgreat, really\r\n2_2\t-1\tIt broke.\r\n"
    assert sentiment.parse(ratings) == [
        ("it broke.", "negative", -2.1, "1"),
        ("great, really", "positive", 3.0, "2"),
    ]


def test_text_messages_are_those_that_differ() -> None:
    collection = "ham\tSee you  at 5\nspam\tWIN a prize\nham\tsee you at 5\nham\t\n"
    assert text_messages.parse(collection) == [("See you at 5", "ham"), ("WIN a prize", "spam")]


def test_voice_commands_are_the_shortest_words_said_by_both() -> None:
    texts = {
        "digits/1": "uno",
        "digits/4": "Quattro.",
        "digits/40": "quaranta",
        "letters/zed": "zeta",
        "vm-no": "nessun messaggio",
        "vm-new": "nuovo",
        "zz-new": "nuovo",
    }
    keys = texts.keys() - {"digits/40"}
    assert voice_commands.choose(texts, keys) == {"nuovo": "zz-new", "quattro": "digits/4"}


def test_a_vocabulary_is_spelled_as_published() -> None:
    pieces = ["[PAD]", "▁", "[unused1]", "▁the", "ing", "▁[", "##"]
    assert minilm_l3.as_published(pieces) == ["[PAD]", "[unused0]", "[unused1]", "the", "##ing", "[", "####"]


def qt_resource(files: dict[str, bytes]) -> bytes:
    """Return a version 3 resource file with one folder `pictures`."""
    names, offsets = b"", {}
    for name in ("pictures", *files):
        offsets[name] = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    data, tree = b"", struct.pack(">IHIIQ", 0, 2, 1, 1, 0)
    tree += struct.pack(">IHIIQ", offsets["pictures"], 2, len(files), 2, 0)
    for name, content in files.items():
        tree += struct.pack(">IHIIQ", offsets[name], 0, 0, len(data), 0)
        data += struct.pack(">I", len(content)) + content
    start = 24
    header = b"qres" + struct.pack(">5I", 3, start, start + len(tree), start + len(tree) + len(data), 0)
    return header + tree + data + names


def test_qt_resources() -> None:
    files = {"a.webp": b"A", "bb.webp": b"BB"}
    assert dict(resources(qt_resource(files))) == {"/pictures/a.webp": b"A", "/pictures/bb.webp": b"BB"}
    with pytest.raises(ValueError, match="Qt"):
        list(resources(b"RIFF"))


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("animals/mammals/cats/lion.png", "mammal"),
        ("animals/mammals/cats/cartoon/lion.png", None),
        ("vehicles/construction/dumper_mirror.png", None),
        ("categorization/renewable/windmill3.webp", "windmill"),
        ("categorization/renewable/dam1.webp", None),
        ("symbols/shapes/star.png", None),
    ],
)
def test_classes_of_photos(path: str, label: str | None) -> None:
    assert photos.class_of(path) == label


def noise(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    small = Image.frombytes("RGB", (8, 6), random.Random(seed).randbytes(8 * 6 * 3))
    return small.resize(size, Image.Resampling.BICUBIC)


def test_pictures_that_look_the_same_are_kept_once() -> None:
    pictures = [("c/other.png", noise(1)), ("b/again.png", noise(0, (128, 96))), ("a/first.png", noise(0))]
    assert [path for path, _ in photos.unique(iter(pictures))] == ["a/first.png", "c/other.png"]
