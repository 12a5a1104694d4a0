"""Every head reads one kind of features, from any family, and nothing but the real steps of them."""

from __future__ import annotations

import pytest
import torch

from headstart.errors import ModelError, UsageError
from headstart.heads.contract import Head, make_head, names_for
from headstart.registry import plugins
from headstart.types import Spec
from networks import FAMILIES, random_backbone

HEADS = plugins("heads")
WIDTH, CLASSES, EXAMPLES, STEPS = 8, 3, 4, 6
KINDS = ("vector", "sequence", "map")


@pytest.fixture(params=sorted(HEADS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def outputs_for(name: str, *, normalised: bool = True, masked: bool = False) -> dict[str, Spec]:
    outputs = {"features": Spec(HEADS[name].reads, WIDTH, ragged=masked, normalised=normalised)}
    return outputs | ({"attention_mask": Spec("mask", ragged=True)} if masked else {})


def random_features(name: str) -> torch.Tensor:
    torch.manual_seed(0)
    shapes = {"vector": (WIDTH,), "sequence": (STEPS, WIDTH), "map": (WIDTH, 5, 4)}
    return torch.randn(EXAMPLES, *shapes[HEADS[name].reads])


def trained(head: Head) -> Head:
    """Return the head with weights that are not zero any more."""
    torch.manual_seed(1)
    torch.nn.init.normal_(head.linear.weight)
    return head.eval()


def test_a_head_says_what_it_is(name: str) -> None:
    head = HEADS[name]
    assert issubclass(head, Head)
    assert head.name == name
    assert head.reads in KINDS


def test_logits_have_one_column_a_class(name: str) -> None:
    head = trained(make_head(name, outputs_for(name), CLASSES))
    features = {"features": random_features(name)}
    places = (EXAMPLES, STEPS) if head.per_step else (EXAMPLES,)
    assert head(features).shape == (*places, CLASSES)
    assert head.pooled(features).shape == (*places, head.linear.in_features)


def test_every_weight_of_a_head_learns(name: str) -> None:
    head = trained(make_head(name, outputs_for(name), CLASSES)).train()
    head({"features": random_features(name)}).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_a_new_head_prefers_no_class(name: str) -> None:
    head = make_head(name, outputs_for(name), CLASSES)
    assert not head({"features": random_features(name)}).any()


def test_a_raw_stream_is_normalised_and_a_finished_one_is_not(name: str) -> None:
    if HEADS[name].reads == "map":
        pytest.skip("no map is a raw stream")
    features = random_features(name)
    raw = trained(make_head(name, outputs_for(name, normalised=False), CLASSES))
    torch.testing.assert_close(raw({"features": 100 * features}), raw({"features": features}), atol=1e-3, rtol=1e-3)
    assert {n for n, _ in raw.named_parameters() if n.startswith("norm.")} == {"norm.weight", "norm.bias"}
    finished = make_head(name, outputs_for(name), CLASSES)
    assert not [n for n, _ in finished.named_parameters() if n.startswith("norm.")]


def test_padding_does_not_change_the_logits(name: str) -> None:
    if HEADS[name].reads != "sequence":
        pytest.skip("only steps are padded")
    head = trained(make_head(name, outputs_for(name, masked=True), CLASSES))
    features, mask = random_features(name), torch.ones(EXAMPLES, STEPS, dtype=torch.int64)
    alone = head({"features": features, "attention_mask": mask})
    padding = 1e3 * torch.ones(EXAMPLES, 3, WIDTH)
    padded = {
        "features": torch.cat([features, padding], 1),
        "attention_mask": torch.cat([mask, torch.zeros(EXAMPLES, 3, dtype=torch.int64)], 1),
    }
    found = head(padded)
    if head.per_step:
        assert not found[:, STEPS:].any()
        found = found[:, :STEPS]
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)


def test_an_input_without_a_real_step_gives_finite_logits(name: str) -> None:
    if HEADS[name].reads != "sequence":
        pytest.skip("only steps are masked")
    head = trained(make_head(name, outputs_for(name, masked=True), CLASSES))
    nothing = {"features": random_features(name), "attention_mask": torch.zeros(EXAMPLES, STEPS, dtype=torch.int64)}
    assert head(nothing).isfinite().all()


def test_half_precision_features_are_read_as_float32(name: str) -> None:
    head = trained(make_head(name, outputs_for(name), CLASSES))
    assert head({"features": random_features(name).half()}).dtype == torch.float32


def test_a_head_for_other_features_is_refused_with_those_that_fit(name: str) -> None:
    other = next(kind for kind in KINDS if kind != HEADS[name].reads)
    outputs = {"features": Spec(other, WIDTH)}
    with pytest.raises(ModelError, match=f"reads a {HEADS[name].reads}") as caught:
        make_head(name, outputs, CLASSES)
    assert all(fitting in caught.value.hint for fitting in names_for(outputs))


def test_a_misspelt_head_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="`meen`") as caught:
        make_head("meen", outputs_for("mean"), CLASSES)
    assert "`mean`" in caught.value.hint


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_depth_of_every_family_has_a_head_and_its_default_fits(family: str) -> None:
    backbone = random_backbone(family)
    for keep in range(1, len(backbone.blocks) + 1):
        names = names_for(backbone.outputs_at(keep))
        assert backbone.family.head in names
        frozen, _ = backbone.cut(keep, keep)
        crossing = frozen(backbone.family.sample(backbone.config, 2))
        for head in names:
            found = make_head(head, backbone.outputs_at(keep), CLASSES)(crossing)
            assert (found.shape[0], found.shape[-1], found.dim()) == (2, CLASSES, 3 if HEADS[head].per_step else 2)
