"""Every descriptor gives the same finite numbers for an example, whatever is described beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.data.dataset import open_dataset
from headstart.errors import UnreadableFile
from headstart.evaluation.simple.contract import Descriptor
from headstart.registry import plugins
from headstart.types import Example
from networks import Numbers, random_backbone, write_examples

DESCRIPTORS: dict[str, Descriptor] = plugins("evaluation.simple")


@pytest.fixture(params=sorted(DESCRIPTORS))
def descriptor(request: pytest.FixtureRequest) -> Descriptor:
    return DESCRIPTORS[request.param]


@pytest.fixture
def preprocess() -> Numbers:
    preprocess = random_backbone().preprocess
    assert isinstance(preprocess, Numbers)
    return preprocess


@pytest.fixture
def examples(descriptor: Descriptor, tmp_path: Path) -> tuple[Example, ...]:
    return open_dataset(write_examples(tmp_path, descriptor.kind, per_class=6)).examples


def dense(matrix: Any) -> np.ndarray:
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def test_an_example_has_the_same_numbers_alone_and_among_others(
    descriptor: Descriptor, examples: tuple[Example, ...], preprocess: Numbers
) -> None:
    read = [descriptor.read(example, preprocess) for example in examples]
    describe = descriptor.learn(read[:8], width=500)
    together = dense(describe(read))
    assert np.isfinite(together).all()
    assert together.any()
    assert len(together) == (sum(map(len, read)) if descriptor.per_step else len(read))
    np.testing.assert_allclose(np.concatenate([dense(describe([one])) for one in read]), together)


def test_what_is_learnt_is_a_function_of_the_training_examples(
    descriptor: Descriptor, examples: tuple[Example, ...], preprocess: Numbers
) -> None:
    read = [descriptor.read(example, preprocess) for example in examples]
    twice = [dense(descriptor.learn(read[:8], width=500)(read)) for _ in range(2)]
    np.testing.assert_array_equal(*twice)


def test_what_depends_on_the_data_is_no_wider_than_asked_for(
    descriptor: Descriptor, examples: tuple[Example, ...], preprocess: Numbers
) -> None:
    read = [descriptor.read(example, preprocess) for example in examples]
    wide, narrow = (dense(descriptor.learn(read, width=width)(read)).shape[1] for width in (500, 20))
    assert narrow in (min(wide, 20), wide)


def test_strengths_rise_and_the_usual_one_lies_among_them(descriptor: Descriptor) -> None:
    assert sorted(set(descriptor.strengths)) == list(descriptor.strengths)
    assert descriptor.strengths[0] <= descriptor.usual <= descriptor.strengths[-1]
    assert not descriptor.told.endswith(".")


def test_a_file_that_is_none_of_its_kind_is_named(descriptor: Descriptor, tmp_path: Path, preprocess: Numbers) -> None:
    if descriptor.kind == "text":
        descriptor.read(Example("odd", {"text": "\u200b \U0001f600 - !"}), preprocess)
        return
    path = tmp_path / "broken"
    path.write_bytes(b"no picture and no sound")
    with pytest.raises(UnreadableFile, match="broken"):
        descriptor.read(Example("broken", {descriptor.kind: path}), preprocess)
