"""A checkpoint gives back what was written, or nothing and a note."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from headstart.errors import NoSpace
from headstart.events import Event
from headstart.training import checkpoint as checkpoint_module
from headstart.training.checkpoint import Checkpoints

PARTS = {"now": {"weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(3)}, "best": {}}
FACTS = {"seconds": 1.5, "epoch": 2, "best": math.inf, "losses": [0.1, 0.2]}


def written(folder: Path) -> Path:
    Checkpoints(folder).at("model", "seed 0").of("data").write(PARTS, FACTS)
    (path,) = folder.iterdir()
    return path


def test_everything_comes_back_bit_for_bit(tmp_path: Path) -> None:
    written(tmp_path)
    checkpoints = Checkpoints(tmp_path)
    saved = checkpoints.at("model").of("data").at("seed 0").read()
    assert saved is not None
    assert all(torch.equal(saved.part("now")[name], tensor) for name, tensor in PARTS["now"].items())
    assert saved.part("best") == {}
    assert {name: saved.facts[name] for name in FACTS} == FACTS
    assert checkpoints.seconds == 1.5
    assert checkpoints.resumed == ("model, seed 0", saved.facts)


@pytest.mark.parametrize("place", [("model", "seed 1"), ("seed 0",)])
def test_another_place_has_none(tmp_path: Path, place: tuple[str, ...]) -> None:
    written(tmp_path)
    assert Checkpoints(tmp_path).at(*place).of("data").read() is None


def test_what_is_of_other_data_is_not_used_and_that_is_said(tmp_path: Path) -> None:
    written(tmp_path)
    heard: list[Event] = []
    assert Checkpoints(tmp_path, heard.append).at("model", "seed 0").of("other").read() is None
    assert "is of other data" in heard[0].text


def test_damage_at_any_byte_is_found(tmp_path: Path) -> None:
    path = written(tmp_path)
    good = path.read_bytes()
    for at in range(0, len(good), 3):
        path.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
        heard: list[Event] = []
        saved = Checkpoints(tmp_path, heard.append).at("model", "seed 0").of("data").read()
        # A blank of the header may have become another blank.
        assert saved is None or all(torch.equal(saved.part("now")[n], t) for n, t in PARTS["now"].items())
        assert (saved is None) == bool(heard)
        path.write_bytes(good[:at])
        assert Checkpoints(tmp_path).at("model", "seed 0").of("data").read() is None


def test_what_lies_inside_a_place_goes_when_that_is_done(tmp_path: Path) -> None:
    written(tmp_path)
    Checkpoints(tmp_path).at("model").write({}, FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_without_room_the_training_goes_on_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise NoSpace("the disk is full")

    heard: list[Event] = []
    monkeypatch.setattr(checkpoint_module, "write_durably", full)
    checkpoints = Checkpoints(tmp_path, heard.append)
    for _ in range(2):
        checkpoints.at("model").write(PARTS, FACTS)
    assert [event.text for event in heard] == ["the training goes on without checkpoints: the disk is full"]
