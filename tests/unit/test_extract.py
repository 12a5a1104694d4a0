"""The one frozen pass: every row is computed at most once, and never served for anything else."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from headstart.backbones.contract import Backbone
from headstart.errors import NoSpace, UnreadableFile
from headstart.events import Event, Forecast, Progress
from headstart.features import extract as extract_module
from headstart.features.cache import FeatureCache
from headstart.features.extract import BATCH, FeatureSet, extract, inputs_of
from headstart.registry import plugin
from headstart.types import Example
from networks import FAMILIES, numbers, open_network, random_backbone
from samples import write_photos


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "cache")


def run(
    cache: FeatureCache, examples: list[Example], *, backbone: Backbone | None = None, freeze: int | str = 2,
    engine: str = "torch", storage: str = "float32", listener: Callable[[Event], None] = lambda event: None,
) -> FeatureSet:  # fmt: skip
    backbone = backbone or random_backbone()
    frozen, _ = backbone.cut(freeze)
    return extract(
        examples, backbone=backbone, frozen=frozen, engine=plugin("engines", engine), cache=cache, storage=storage,
        listener=listener,
    )  # fmt: skip


def assert_equal(first: FeatureSet, second: FeatureSet) -> None:
    everything = list(range(len(first)))
    for name, tensor in first.batch(everything).items():
        assert torch.equal(tensor, second.batch(everything)[name])


def counting_calls(module: nn.Module) -> list[int]:
    calls: list[int] = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_what_is_stored_is_what_the_frozen_part_gives(cache: FeatureCache, family: str) -> None:
    backbone = random_backbone(family)
    examples = numbers(7)
    for freeze in (0, 1, 2, len(backbone.blocks)):
        frozen, _ = backbone.cut(freeze)
        features = run(cache, examples, backbone=backbone, freeze=freeze)
        found = features.batch([3, 0, 6])
        expected = frozen(inputs_of(backbone, [backbone.preprocess.decode(examples[i]) for i in (3, 0, 6)]))
        assert found.keys() == expected.keys()
        real = expected["attention_mask"].bool() if features.specs[next(iter(found))].ragged else None
        for name, tensor in expected.items():
            assert found[name].dtype == tensor.dtype
            assert found[name].shape == tensor.shape
            rows = (found[name], tensor) if real is None else (found[name][real], tensor[real])
            torch.testing.assert_close(*rows, atol=1e-5, rtol=0)


def test_a_second_pass_computes_nothing(cache: FeatureCache, tmp_path: Path) -> None:
    first = run(cache, numbers(20))
    assert (first.hits, first.computed) == (0, 20)
    backbone = random_backbone()
    calls = [counting_calls(block) for block in backbone.blocks]
    second = run(FeatureCache(tmp_path / "cache"), numbers(20), backbone=backbone)
    assert (second.hits, second.computed) == (20, 0)
    assert not any(calls)
    assert second.bytes == first.bytes > 0
    assert second.pass_seconds == pytest.approx(first.pass_seconds)
    assert_equal(first, second)


def test_new_examples_are_all_that_is_computed(cache: FeatureCache) -> None:
    run(cache, numbers(10))
    grown = run(cache, numbers(13))
    assert (grown.hits, grown.computed) == (10, 3)


def test_fewer_examples_and_another_order_compute_nothing(cache: FeatureCache) -> None:
    first = run(cache, numbers(20))
    shuffled = numbers(20)
    random.Random(0).shuffle(shuffled)
    second = run(cache, shuffled)
    assert second.computed == 0
    names = [example.name for example in second.examples]
    assert names == [example.name for example in shuffled]
    position = {example.name: number for number, example in enumerate(first.examples)}
    for number, name in enumerate(names):
        assert torch.equal(second.batch([number])["hidden_states"], first.batch([position[name]])["hidden_states"])
    assert run(cache, shuffled[5:9]).computed == 0


def test_labels_names_and_splits_are_not_in_the_key(cache: FeatureCache) -> None:
    run(cache, numbers(6))
    renamed = [replace(e, name=f"moved/{e.name}", target="other", split="test") for e in numbers(6)]
    assert run(cache, renamed).computed == 0


def test_equal_contents_are_computed_once(cache: FeatureCache) -> None:
    twice = [*numbers(5), *(replace(example, name=f"copy of {example.name}") for example in numbers(5))]
    features = run(cache, twice)
    assert (len(features), features.computed) == (10, 5)
    assert torch.equal(features.batch([0])["hidden_states"], features.batch([5])["hidden_states"])


def weights_changed(backbone: Backbone) -> None:
    with torch.no_grad():
        next(iter(backbone.blocks[0].parameters()))[0, 0] += 1e-3


def settings_changed(backbone: Backbone) -> None:
    backbone.config.layer_norm_eps = 1e-3


def preprocessing_changed(backbone: Backbone) -> None:
    backbone.preprocess.fingerprint = "other"


@pytest.mark.parametrize("change", [weights_changed, settings_changed, preprocessing_changed])
def test_another_network_or_preprocessing_shares_nothing(cache: FeatureCache, change) -> None:
    run(cache, numbers(4))
    backbone = random_backbone()
    change(backbone)
    assert run(cache, numbers(4), backbone=backbone).hits == 0


def test_weights_above_the_cut_share_everything(cache: FeatureCache) -> None:
    run(cache, numbers(4))
    backbone = random_backbone()
    with torch.no_grad():
        next(iter(backbone.blocks[-1].parameters())).add_(1)
    assert run(cache, numbers(4), backbone=backbone).computed == 0


@pytest.mark.parametrize("other", [{"freeze": 1}, {"freeze": 3}, {"freeze": 0}, {"storage": "float16"}])
def test_another_depth_or_storage_shares_nothing(cache: FeatureCache, other: dict[str, Any]) -> None:
    run(cache, numbers(4))
    assert run(cache, numbers(4), **other).hits == 0


def test_another_engine_s_numerics_share_nothing(cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    run(cache, numbers(4))
    engine = plugin("engines", "torch")
    monkeypatch.setattr(type(engine), "numerics", property(lambda self: "torch 99 float32"))
    assert run(cache, numbers(4)).hits == 0


def test_other_library_versions_share_nothing(cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    run(cache, numbers(4))
    monkeypatch.setattr(extract_module, "version", lambda name: "99")
    assert run(cache, numbers(4)).hits == 0


def test_a_changed_file_is_computed_again_and_a_renamed_one_is_not(cache: FeatureCache, tmp_path: Path) -> None:
    backbone = open_network(tmp_path / "network", "vit")
    photos = sorted(write_photos(tmp_path / "photos", per_class=2).rglob("*.png"))
    first = run(cache, [Example(str(p), {"image": p}) for p in photos], backbone=backbone)
    before = first.batch([0])["hidden_states"]
    renamed = photos[0].rename(photos[0].with_name("renamed.png"))
    photos[1].write_bytes(photos[2].read_bytes()[:-12] + photos[2].read_bytes()[-12:] + b"changed")
    moved = [renamed, *photos[1:]]
    second = run(cache, [Example(str(p), {"image": p}) for p in moved], backbone=backbone)
    assert (second.hits, second.computed) == (3, 1)
    assert torch.equal(second.batch([0])["hidden_states"], before)


def test_float16_is_close_and_half_as_large(cache: FeatureCache) -> None:
    exact, half = run(cache, numbers(16)), run(cache, numbers(16), storage="float16")
    everything = list(range(16))
    torch.testing.assert_close(
        half.batch(everything)["hidden_states"], exact.batch(everything)["hidden_states"], atol=4e-3, rtol=1e-3
    )
    assert half.batch(everything)["hidden_states"].dtype == torch.float32
    assert half.bytes < 0.7 * exact.bytes


def test_values_that_float16_cannot_hold_stay_as_they_are(cache: FeatureCache) -> None:
    backbone = random_backbone("vit")
    with torch.no_grad():
        backbone.blocks[0].module.position_embeddings += 1e6
    exact = run(cache, numbers(5), backbone=backbone, freeze=1)
    half = run(cache, numbers(5), backbone=backbone, freeze=1, storage="float16")
    assert exact.batch([0])["hidden_states"].max() > 65504
    assert_equal(half, exact)


def shards(cache: FeatureCache) -> list[Path]:
    return sorted(cache.folder.rglob("*.safetensors"))


def test_only_the_damaged_shard_is_computed_again(cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract_module, "_SHARD_SECONDS", 0.0)
    first = run(cache, numbers(3 * BATCH))
    before = first.batch(range(len(first)))["hidden_states"].clone()
    assert len(shards(cache)) == 3
    damaged = shards(cache)[1]
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 4
    damaged.unlink()
    damaged.write_bytes(data)
    second = run(cache, numbers(3 * BATCH))
    assert (second.hits, second.computed) == (2 * BATCH, BATCH)
    assert torch.equal(second.batch(range(len(second)))["hidden_states"], before)


class Failing:
    """Makes the preprocessing fail on some numbers."""

    def __init__(self, backbone: Backbone, *bad: int) -> None:
        self._decode, self._bad = backbone.preprocess.decode, {str(number) for number in bad}
        backbone.preprocess.decode = self.decode

    def decode(self, example: Example) -> Any:
        if example.inputs["text"] in self._bad:
            raise UnreadableFile(example.name, "is truncated")
        return self._decode(example)


def test_what_cannot_be_read_is_named_and_left_out(cache: FeatureCache) -> None:
    backbone = random_backbone()
    Failing(backbone, 3, 19)
    features = run(cache, numbers(20), backbone=backbone)
    assert sorted((one.name, one.error) for one in features.skipped) == [
        ("number 19", "is truncated"), ("number 3", "is truncated"),
    ]  # fmt: skip
    assert [example.name for example in features.examples] == [f"number {n}" for n in range(20) if n not in (3, 19)]
    assert features.computed == 18
    assert len(features.batch(range(18))["hidden_states"]) == 18


def test_copies_of_what_cannot_be_read_are_named_too(cache: FeatureCache) -> None:
    backbone = random_backbone()
    Failing(backbone, 1)
    examples = [*numbers(4), replace(numbers(2)[1], name="copy")]
    features = run(cache, examples, backbone=backbone)
    assert {one.name for one in features.skipped} == {"number 1", "copy"}
    assert len(features) + len(features.skipped) == len(examples)


def test_a_whole_batch_that_cannot_be_read_is_left_out(cache: FeatureCache) -> None:
    backbone = random_backbone()
    Failing(backbone, *range(8, 8 + 9 * BATCH, 9))
    features = run(cache, numbers(9 * BATCH), backbone=backbone)
    assert len(features.skipped) == BATCH
    assert len(features.batch(range(len(features)))["hidden_states"]) == 8 * BATCH


def test_a_missing_file_is_named_and_left_out(cache: FeatureCache, tmp_path: Path) -> None:
    features = run(cache, [*numbers(2), Example("absent.png", {"image": tmp_path / "absent.png"})])
    assert [one.name for one in features.skipped] == ["absent.png"]
    assert len(features) == 2


def test_the_forecast_comes_before_the_rest_is_computed(cache: FeatureCache) -> None:
    backbone = random_backbone("vit")
    calls, computed_when_said, said = counting_calls(backbone.blocks[0]), [], []

    def listen(event: Event) -> None:
        if isinstance(event, Forecast):
            computed_when_said.append(len(calls))
            said.append(event)

    features = run(cache, numbers(5 * BATCH), backbone=backbone, listener=listen)
    (forecast,) = said
    assert computed_when_said == [1]
    assert forecast.examples == 5 * BATCH
    assert forecast.cached
    assert forecast.free_bytes > 0
    assert forecast.seconds > 0
    assert forecast.bytes == pytest.approx(features.bytes, rel=0.05)


def test_a_found_pass_has_nothing_to_forecast(cache: FeatureCache) -> None:
    run(cache, numbers(3))
    events: list[Event] = []
    run(cache, numbers(3), listener=events.append)
    assert not events


def test_progress_ends_at_the_whole(cache: FeatureCache) -> None:
    backbone, events = random_backbone(), []
    Failing(backbone, 2)
    run(cache, numbers(2 * BATCH + 3), backbone=backbone, listener=events.append)
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert last.done == last.total == 2 * BATCH + 3


def test_what_does_not_fit_is_computed_live_and_said(cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, events = random_backbone(), []
    stored = run(cache, numbers(3 * BATCH), backbone=backbone)
    monkeypatch.setattr(extract_module, "_FREE_SHARE", 0.0)
    Failing(backbone, 200)
    examples = numbers(3 * BATCH)
    empty = FeatureCache(cache.folder.parent / "empty")
    features = run(empty, [*examples, *numbers(1, start=200)], backbone=backbone, listener=events.append)
    assert not features.stored
    assert stored.stored
    (forecast,) = (event for event in events if isinstance(event, Forecast))
    assert not forecast.cached
    assert "every epoch" in forecast.reason
    assert not shards(empty)
    # Known before the training asks for it, although its batch was never run.
    assert [one.name for one in features.skipped] == ["number 200"]
    found, expected = features.batch([40, 2]), stored.batch([40, 2])
    real = expected["attention_mask"].bool()
    torch.testing.assert_close(found["hidden_states"][real], expected["hidden_states"][real], atol=1e-5, rtol=0)


def test_a_disk_that_fills_up_in_the_middle_keeps_what_was_stored(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract_module, "_SHARD_SECONDS", 0.0)
    reserve, calls = os.posix_fallocate, []

    def fill_up(*arguments: int) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        reserve(*arguments)

    monkeypatch.setattr(os, "posix_fallocate", fill_up)
    with pytest.raises(NoSpace, match="the disk is full"):
        run(cache, numbers(4 * BATCH))
    monkeypatch.setattr(os, "posix_fallocate", reserve)
    assert not [path for path in cache.folder.rglob("*") if path.name.endswith(".tmp")]
    resumed = run(cache, numbers(4 * BATCH))
    assert (resumed.hits, resumed.computed) == (2 * BATCH, 2 * BATCH)
    assert_equal(resumed, run(FeatureCache(cache.folder.parent / "other"), numbers(4 * BATCH)))


def test_two_runs_at_once_give_both_the_same(tmp_path: Path) -> None:
    results: dict[int, FeatureSet] = {}

    def one(number: int) -> None:
        results[number] = run(FeatureCache(tmp_path / "cache"), numbers(2 * BATCH)[:: (1, -1)[number]])

    # SQLite connections stay in their thread, so what is read later is opened here again.
    threads = [threading.Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) == {0, 1}
    assert run(FeatureCache(tmp_path / "cache"), numbers(2 * BATCH)).computed == 0


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from headstart.features import extract as module
from headstart.features.cache import FeatureCache
from networks import numbers
from unit.test_extract import run
module._SHARD_SECONDS = 0.0
real, calls = getattr(os, {step!r}), []
def step(*arguments):
    calls.append(1)
    if len(calls) == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
setattr(os, {step!r}, step)
run(FeatureCache(Path({folder!r})), numbers(5 * module.BATCH))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("step", "at"), [("posix_fallocate", 2), ("fsync", 5), ("fsync", 6), ("replace", 4)])
def test_after_a_kill_the_pass_goes_on_and_gives_the_same_bytes(tmp_path: Path, step: str, at: int) -> None:
    tests = str(Path(__file__).parents[1])
    code = KILLED.format(tests=tests, step=step, at=at, folder=str(tmp_path / "cache"))
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert killed.returncode == -9, killed.stderr
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        resumed = run(FeatureCache(tmp_path / "cache"), numbers(5 * BATCH))
        assert 0 < resumed.hits < 5 * BATCH
        assert resumed.hits + resumed.computed == 5 * BATCH
        assert_equal(resumed, run(FeatureCache(tmp_path / "other"), numbers(5 * BATCH)))
    finally:
        torch.set_num_threads(threads)
