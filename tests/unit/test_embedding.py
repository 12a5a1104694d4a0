"""What `embed` writes is what the head would read, with names, labels and splits beside it, computed once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import parquet
from safetensors import safe_open

from headstart.cli import application
from headstart.cut import FrozenPart, run_blocks
from headstart.embedding import embed, write_embedding
from headstart.errors import ModelError, UsageError
from headstart.features.extract import inputs_of
from headstart.heads.contract import make_head
from networks import FAMILIES, open_network, write_examples, write_network
from samples import write_photos, write_table


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("family", ["bert", "vit", "efficientnet-lite", "whisper"])
def test_vectors_are_what_the_family_s_head_reads(tmp_path: Path, family: str) -> None:
    data = write_examples(tmp_path / "data", FAMILIES[family].kind)
    network = open_network(tmp_path / "network", family)
    found = embed(data, backbone=str(tmp_path / "network"), keep=2, storage="float32")
    examples = found.examples[:5]
    network.family.adjust(network.config, examples)
    inputs = inputs_of(network, [network.preprocess.decode(example) for example in examples])
    head = make_head(network.family.head, network.outputs_at(2), 1).eval()
    with torch.no_grad():
        expected = head.pooled(run_blocks(network.blocks[:2], inputs)).numpy()
    np.testing.assert_allclose(found.vectors[:5], expected, atol=1e-4)
    assert (len(found.vectors), found.keep) == (24, 2)


def test_both_formats_hold_the_same(tmp_path: Path) -> None:
    data = write_examples(tmp_path / "data", "text")
    found = embed(data, backbone=str(write_network(tmp_path / "network")))
    for name in ("features.parquet", "features.safetensors"):
        write_embedding(found, tmp_path / name)
    table = parquet.read_table(tmp_path / "features.parquet")
    with safe_open(tmp_path / "features.safetensors", "np") as file:
        vectors, metadata = file.get_tensor("vectors"), file.metadata()
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32), vectors)
    np.testing.assert_array_equal(vectors, found.vectors)
    for column in ("name", "label", "split", "group"):
        assert table[column].to_pylist() == json.loads(metadata[column])
    assert set(table["split"].to_pylist()) == {"train", "validation", "test"}
    assert metadata["keep"] == str(found.keep) == table.schema.metadata[b"keep"].decode()


def test_labels_need_not_be_there_or_be_classes(tmp_path: Path) -> None:
    network = str(write_network(tmp_path / "network"))
    for name, rows in {
        "unlabelled": [{"text": f"a film number {n}"} for n in range(5)],
        "numbers": [{"text": f"a film number {n}", "label": n / 3} for n in range(5)],
        "lists": [{"text": f"a film number {n}", "label": ["a", "b"][:n]} for n in range(5)],
    }.items():
        found = embed(write_table(tmp_path / f"{name}.jsonl", rows), backbone=network)
        write_embedding(found, tmp_path / f"{name}.parquet")
        labels = parquet.read_table(tmp_path / f"{name}.parquet")["label"].to_pylist()
        expected = {"unlabelled": [None] * 5, "numbers": [n / 3 for n in range(5)]}
        assert labels == expected.get(name, ["[]", '["a"]', '["a", "b"]', '["a", "b"]', '["a", "b"]'])


def test_a_folder_of_pictures_without_classes_is_read(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", classes=1)
    network = str(write_network(tmp_path / "vit", "vit"))
    assert len(embed(photos / "colour0", backbone=network, keep=1).vectors) == 6


def test_features_are_found_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, network = write_examples(tmp_path / "data", "text"), str(write_network(tmp_path / "network"))
    first = embed(data, backbone=network, keep=2)
    monkeypatch.setattr(FrozenPart, "forward", None)
    np.testing.assert_array_equal(embed(data, backbone=network, keep=2).vectors, first.vectors)


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, network = write_examples(tmp_path / "data", "text"), str(write_network(tmp_path / "network"))
    output = str(tmp_path / "features.parquet")
    words = ["embed", str(data), "--backbone", network, "--keep", "3", "--output", output, "--json"]
    application()(words, standalone_mode=False)
    said = json.loads(capsys.readouterr().out)
    assert said.pop("width") > 1
    assert said == {"examples": 24, "backbone": network, "keep": 3, "output": output}
    assert parquet.read_table(output).num_rows == 24


def test_wrong_usage_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    words = ["embed", str(tmp_path / "missing"), "--output", "features.parqet"]
    with pytest.raises(UsageError, match=r"`\.parqet`") as caught:
        application()(words, standalone_mode=False)
    assert "`.parquet`" in caught.value.hint
    data, network = write_examples(tmp_path / "data", "text"), str(write_network(tmp_path / "network"))
    with pytest.raises(ModelError, match="99"):
        embed(data, backbone=network, keep=99)
