"""Every engine computes what PyTorch computes, for batches of any size and length, and states its numerics."""

from __future__ import annotations

import pytest
import torch

from headstart.backbones.contract import Backbone, Features
from headstart.engines.contract import Engine
from headstart.errors import UsageError
from headstart.registry import plugin, plugins
from networks import FAMILIES, random_backbone

ENGINES = plugins("engines")


def installed(name: str) -> Engine:
    if not ENGINES[name].available():
        pytest.skip(f"{name} is not installed")
    return ENGINES[name]


# Other engines than PyTorch compile every network anew, which takes seconds.
@pytest.fixture(params=[pytest.param(n, marks=() if n == "torch" else pytest.mark.slow) for n in sorted(ENGINES)])
def engine(request: pytest.FixtureRequest) -> Engine:
    return installed(request.param)


def batch(backbone: Backbone, examples: int, *, seed: int, shorter: int = 0) -> Features:
    """Return random inputs; ragged ones are `shorter` steps shorter than the family's sample."""
    torch.manual_seed(seed)
    sample = backbone.family.sample(backbone.config, examples)
    ragged = {name for name, spec in backbone.inputs.items() if spec.ragged}
    return {n: t[:, : t.shape[1] - shorter].contiguous() if n in ragged else t for n, t in sample.items()}


@pytest.mark.parametrize("depth", [1, 2, "all"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_an_engine_agrees_with_torch_at_every_batch_size_and_length(
    engine: Engine, family: str, depth: int | str
) -> None:
    backbone = random_backbone(family)
    frozen, _ = backbone.cut(depth)
    run = engine.prepare(frozen, batch(backbone, 4, seed=0))
    for examples, shorter in ((4, 0), (1, 0), (7, 3), (2, 6)):
        inputs = batch(backbone, examples, seed=examples, shorter=shorter)
        found, expected = run(inputs), frozen(inputs)
        assert set(found) == set(expected)
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, atol=1e-4, rtol=1e-4)
            assert found[name].dtype == tensor.dtype


def test_an_engine_prepared_on_one_example_runs_many(engine: Engine) -> None:
    backbone = random_backbone("bert")
    frozen, _ = backbone.cut("all")
    run = engine.prepare(frozen, batch(backbone, 1, seed=0))
    inputs = batch(backbone, 5, seed=1, shorter=2)
    torch.testing.assert_close(run(inputs)["hidden_states"], frozen(inputs)["hidden_states"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["bert", "vit"])
def test_inputs_pass_through_a_cut_before_the_first_block(engine: Engine, family: str) -> None:
    backbone = random_backbone(family)
    frozen, _ = backbone.cut(0)
    inputs = batch(backbone, 3, seed=0)
    found = engine.prepare(frozen, inputs)(inputs)
    assert found.keys() == inputs.keys()
    for name, tensor in inputs.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype


def test_an_input_that_may_be_missing_is_not_asked_for(engine: Engine) -> None:
    backbone = random_backbone("bert")
    inputs = {name: tensor for name, tensor in batch(backbone, 3, seed=0).items() if name != "token_type_ids"}
    for depth in (0, 2):
        frozen, _ = backbone.cut(depth)
        found = engine.prepare(frozen, inputs)(inputs)
        assert "token_type_ids" not in found
        assert found.keys() == frozen(inputs).keys()


def test_results_are_no_views_of_what_the_next_batch_overwrites(engine: Engine) -> None:
    backbone = random_backbone("vit")
    frozen, _ = backbone.cut("all")
    run = engine.prepare(frozen, batch(backbone, 2, seed=0))
    first = run(batch(backbone, 2, seed=1))["hidden_states"]
    kept = first.clone()
    run(batch(backbone, 2, seed=2))
    assert torch.equal(first, kept)


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_an_engine_runs_batches_of_other_sizes_and_lengths(name: str) -> None:
    backbone = random_backbone("bert")
    frozen, _ = backbone.cut(2)
    run = installed(name).prepare(frozen, batch(backbone, 4, seed=0))
    inputs = batch(backbone, 7, seed=1, shorter=3)
    found, expected = run(inputs), frozen(inputs)
    assert found.keys() == expected.keys()
    for tensor in expected:
        torch.testing.assert_close(found[tensor], expected[tensor], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_numerics_are_stated_and_stable(name: str) -> None:
    engine = installed(name)
    assert engine.numerics == engine.numerics
    assert name in engine.numerics
    assert "float" in engine.numerics


def test_engines_never_share_numerics() -> None:
    stated = [engine.numerics for engine in ENGINES.values() if engine.available()]
    assert len(set(stated)) == len(stated)


def test_the_number_of_threads_is_part_of_torch_s_numerics() -> None:
    engine, threads = plugin("engines", "torch"), torch.get_num_threads()
    before = engine.numerics
    torch.set_num_threads(threads + 1)
    try:
        assert engine.numerics != before
    finally:
        torch.set_num_threads(threads)


def test_a_misspelt_engine_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="`torhc`") as caught:
        plugin("engines", "torhc")
    assert "`torch`" in caught.value.hint
