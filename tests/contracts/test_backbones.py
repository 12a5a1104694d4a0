"""Every family of backbones, also those of other packages, can be cut anywhere without changing what it computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from headstart.backbones.contract import Backbone
from headstart.cut import Features, TrainablePart, run_blocks
from headstart.errors import ModelError
from headstart.heads.contract import features_of, names_for
from headstart.types import KINDS
from headstart.verify import one_by_one
from networks import FAMILIES, open_network, random_backbone


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def backbone(family: str) -> Backbone:
    return random_backbone(family)


@pytest.fixture
def inputs(backbone: Backbone) -> Features:
    torch.manual_seed(1)
    return backbone.family.sample(backbone.config, 3)


def features(tensors: Features, backbone: Backbone, keep: int | None = None) -> torch.Tensor:
    """Return what a head reads at `keep`, without the steps that are only padding."""
    outputs = backbone.outputs_at(len(backbone.blocks) if keep is None else keep)
    name, spec = features_of(outputs)
    mask = next((name for name, spec in outputs.items() if spec.kind == "mask"), None)
    return tensors[name][tensors[mask].bool()] if spec.ragged else tensors[name]


def cuts(backbone: Backbone) -> list[tuple[int, int]]:
    blocks = len(backbone.blocks)
    return [(freeze, keep) for keep in range(1, blocks + 1) for freeze in range(keep + 1)]


def test_a_family_says_what_it_is(backbone: Backbone) -> None:
    family = backbone.family
    assert family.kind in KINDS
    assert family.model_types
    assert backbone.config.model_type in family.model_types
    assert family.head in names_for(backbone.outputs)
    keep, freeze = family.default_depths(len(backbone.blocks))
    assert 0 <= freeze <= keep <= len(backbone.blocks)
    assert keep >= 1


def test_blocks_hold_every_weight_once(backbone: Backbone) -> None:
    weights = [id(p) for block in backbone.blocks for p in block.parameters()]
    assert len(weights) == len(set(weights))
    assert set(weights) == {id(p) for p in backbone.network.parameters()}
    assert len({block.name for block in backbone.blocks}) == len(backbone.blocks)


def test_the_blocks_in_a_row_are_the_library_s_own_network(backbone: Backbone, inputs: Features) -> None:
    name = features_of(backbone.outputs)[0]
    with torch.no_grad():
        blocks = run_blocks(backbone.blocks, inputs)
        alone = [backbone.network(**one).last_hidden_state for one in one_by_one(inputs, backbone)]
    for row, whole in zip(blocks[name], alone, strict=True):
        torch.testing.assert_close(row[: whole.shape[1]] if row.dim() == 2 else row, whole[0], atol=1e-5, rtol=1e-5)


def test_a_cut_anywhere_changes_no_bit(backbone: Backbone, inputs: Features) -> None:
    for freeze, keep in cuts(backbone):
        frozen, above = backbone.cut(freeze, keep)
        with torch.no_grad():
            whole = features(run_blocks(backbone.blocks[:keep], inputs), backbone, keep)
            assert torch.equal(features(run_blocks(above, frozen(inputs)), backbone, keep), whole)


def test_what_crosses_is_exactly_what_is_still_read(backbone: Backbone, inputs: Features) -> None:
    for freeze, keep in cuts(backbone):
        frozen, above = backbone.cut(freeze, keep)
        crossing = frozen(inputs)
        assert set(crossing) == set(frozen.writes)
        for name in crossing:
            rest = {other: tensor for other, tensor in crossing.items() if other != name}
            read_by_head = name in backbone.outputs_at(keep)
            read_by_block = any(name in block.reads for block in above)
            assert read_by_head or read_by_block, f"{name} crosses the cut at {freeze} and nobody reads it"
            if read_by_block and name != "token_type_ids":
                with pytest.raises((KeyError, AttributeError, TypeError)), torch.no_grad():
                    run_blocks(above, rest)


def test_specs_describe_the_tensors(backbone: Backbone, inputs: Features) -> None:
    dimensions = {"vector": 2, "sequence": 3, "map": 4, "mask": 2}
    examples = len(next(iter(inputs.values())))
    for freeze in range(len(backbone.blocks) + 1):
        frozen, _ = backbone.cut(freeze)
        crossing = frozen(inputs)
        for name, tensor in crossing.items():
            spec = frozen.specs[name]
            assert len(tensor) == examples
            assert tensor.dim() == dimensions.get(spec.kind, tensor.dim())
            if spec.kind in ("vector", "sequence"):
                assert tensor.shape[-1] == spec.width
            elif spec.kind in ("map", "input") and spec.width:
                assert tensor.shape[1] == spec.width
            if spec.ragged:
                assert tensor.shape[1] == next(
                    t.shape[1] for n, t in crossing.items() if frozen.specs[n].kind == "mask"
                )


def test_a_stream_that_calls_itself_raw_is_normalised_by_the_last_block(backbone: Backbone) -> None:
    raw = [not features_of(backbone.outputs_at(keep))[1].normalised for keep in range(1, len(backbone.blocks) + 1)]
    assert raw[-1] is False
    if any(raw):
        assert all(raw[raw.index(True) : -1])
        assert isinstance(backbone.blocks[-1].module, nn.LayerNorm)


def test_frozen_stays_in_evaluation_mode(backbone: Backbone, inputs: Features) -> None:
    frozen, _ = backbone.cut("all")
    before = frozen(inputs)
    frozen.train()
    assert not any(module.training for module in frozen.modules())
    after = frozen(inputs)
    again = frozen(inputs)
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor)
        assert torch.equal(again[name], tensor)


def test_gradients_end_at_the_cut(backbone: Backbone, inputs: Features) -> None:
    for freeze in range(len(backbone.blocks) + 1):
        frozen, above = backbone.cut(freeze)
        name, spec = features_of(backbone.outputs)
        head = nn.Linear(spec.width, 1)
        part = TrainablePart(above, head).train()
        tensors = run_blocks(part.blocks, frozen(inputs))[name]
        head(tensors if spec.kind == "sequence" else tensors.transpose(1, -1)).square().mean().backward()
        assert all(p.grad is None and not p.requires_grad for p in frozen.parameters())
        # A mask token stands for hidden patches in pre-training alone.
        lacking = [n for n, p in part.named_parameters() if p.grad is None and not n.endswith("mask_token")]
        assert not lacking
        part.zero_grad()
        backbone.network.requires_grad_(True)


def test_the_fingerprint_follows_the_weights_below_the_cut(backbone: Backbone) -> None:
    freeze = len(backbone.blocks) // 2
    frozen, above = backbone.cut(freeze)
    before = frozen.fingerprint()
    with torch.no_grad():
        for parameter in (p for block in above for p in block.parameters()):
            parameter.add_(1.0)
    assert frozen.fingerprint() == before
    with torch.no_grad():
        for name, tensor in frozen.state_dict().items():
            flat = tensor.view(-1)
            old = flat[-1].clone()
            flat[-1] += 1
            assert frozen.fingerprint() != before, name
            flat[-1] = old
    assert frozen.fingerprint() == before


def test_fingerprints_tell_depths_and_networks_apart(family: str) -> None:
    first, second = random_backbone(family), random_backbone(family, seed=1)
    depths = [first.cut(k)[0].fingerprint() for k in range(len(first.blocks) + 1)]
    assert len(set(depths)) == len(depths)
    assert first.cut("all")[0].fingerprint() == random_backbone(family).cut("all")[0].fingerprint()
    assert first.cut("all")[0].fingerprint() != second.cut("all")[0].fingerprint()
    assert first.fingerprint() == second.fingerprint()


def test_truncating_gives_the_features_at_keep(family: str, inputs: Features) -> None:
    whole = random_backbone(family)
    for keep in range(1, len(whole.blocks) + 1):
        short = random_backbone(family)
        with torch.no_grad():
            expected = features(run_blocks(whole.blocks[:keep], inputs), whole, keep)
            short.truncate(keep)
            extra = 0 if features_of(whole.outputs_at(keep))[1].normalised else 1
            assert len(short.blocks) == keep + extra
            if extra:
                expected = whole.blocks[-1].module(expected)
            assert torch.equal(features(run_blocks(short.blocks, inputs), short), expected)
        state = short.network.state_dict()
        again = short.family.build(short.config)
        assert {n: t.shape for n, t in again.state_dict().items()} == {n: t.shape for n, t in state.items()}


@pytest.mark.parametrize("value", [-1, 1000, True, 1.0, "most", None])
def test_a_depth_out_of_range_is_refused_with_the_valid_range(backbone: Backbone, value: object) -> None:
    blocks = len(backbone.blocks)
    for call, least in ((lambda: backbone.cut(value), 0), (lambda: backbone.cut(0, value), 1)):
        with pytest.raises(ModelError) as caught:
            call()
        assert f"{least} to {blocks}" in caught.value.hint
        assert backbone.name in caught.value.message


def test_more_frozen_than_kept_is_refused_with_the_valid_range(backbone: Backbone) -> None:
    with pytest.raises(ModelError, match="cannot freeze 2 blocks when only 1 are kept") as caught:
        backbone.cut(2, 1)
    assert "0 to 1" in caught.value.hint
    with pytest.raises(ModelError, match="cannot keep 0"):
        backbone.cut(0, 0)


def test_all_means_all_that_are_kept(backbone: Backbone) -> None:
    frozen, above = backbone.cut("all", 2)
    assert len(frozen.blocks) == 2
    assert above == []
    assert len(backbone.cut("all")[0].blocks) == len(backbone.blocks)


def test_released_blocks_give_their_memory_back_and_reopen_identical(
    family: str, inputs: Features, tmp_path: Path
) -> None:
    backbone = open_network(tmp_path, family)
    before = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    freeze, keep = 2, len(backbone.blocks) - 1
    _, above = backbone.cut(freeze, keep)
    backbone.release_except(above)
    kept = {id(p) for block in above for p in block.parameters()}
    assert all(p.is_meta != (id(p) in kept) for p in backbone.network.parameters())
    again = backbone.reopen()
    state = again.network.state_dict()
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())
    with torch.no_grad():
        run_blocks(again.blocks, inputs)
    assert again.fingerprint() == backbone.fingerprint()


def test_padding_moves_no_real_step(backbone: Backbone) -> None:
    """A family that cannot promise this has no ragged input, so that lengths are never mixed in a batch."""
    ragged = [name for name, spec in backbone.inputs.items() if spec.ragged]
    if not ragged:
        pytest.skip("all inputs of this family have the same size")
    torch.manual_seed(1)
    sample = {name: tensor[:1] for name, tensor in backbone.family.sample(backbone.config, 2).items()}
    padded = dict(sample)
    for name in ragged:
        padded[name] = torch.cat([sample[name], torch.zeros_like(sample[name])], dim=1)
    with torch.no_grad():
        alone, beside = run_blocks(backbone.blocks, sample), run_blocks(backbone.blocks, padded)
    torch.testing.assert_close(features(beside, backbone), features(alone, backbone), atol=1e-5, rtol=0)


def test_the_frozen_part_says_which_input_is_missing(backbone: Backbone, inputs: Features) -> None:
    frozen, _ = backbone.cut("all")
    gone = next(name for name in frozen.reads if name != "token_type_ids")
    with pytest.raises(ModelError, match=f"needs the input `{gone}`"):
        frozen({name: tensor for name, tensor in inputs.items() if name != gone})
