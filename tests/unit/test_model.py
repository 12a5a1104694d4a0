"""What the user keeps: a folder that loads, says the same everywhere, and is refused where it is damaged."""

from __future__ import annotations

import json
import pickle
import shutil
import sqlite3
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
import xxhash
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from headstart import api
from headstart import model as model_module
from headstart.backbones import open_backbone
from headstart.cut import run_blocks
from headstart.data.dataset import content_hash, open_dataset
from headstart.errors import CheckpointError, HeadstartError, ModelError, VersionError
from headstart.events import EpochEnded
from headstart.features.extract import inputs_of
from headstart.heads.contract import features_of
from headstart.model import GENERIC_CLASS, Model
from headstart.types import Label, Skipped
from headstart.verify import one_by_one
from networks import FAMILIES, random_backbone, write_examples, write_network
from samples import reviews, write_table

FREEZE = 2
# Families whose stream is normalised by their last block only.
RAW = [name for name in FAMILIES if not features_of(random_backbone(name).outputs_at(1))[1].normalised]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The fresh process that checks a saved folder costs seconds; the walks have it."""
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def fit(folder: Path, family: str = "bert", *, name: str = "model", **settings: Any) -> Model:
    """Adapt a tiny network to tiny data; both are written to `folder` unless they are there."""
    network, data = folder / "network", folder / "data"
    if not network.exists():
        write_network(network, family)
        write_examples(data, FAMILIES[family].kind)
    settings = {"keep": "all", "freeze": FREEZE, "epochs": 2, "baselines": False, **settings}
    source = next(data.iterdir())
    return api.fit(source, backbone=str(network), output_dir=folder / name, **settings)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Return the folder of an adapted tiny network of each family; copy it before changing it."""
    folders: dict[str, Path] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_module, "_verify", lambda *_: None)

        def get(family: str) -> Path:
            if family not in folders:
                place = tmp_path_factory.mktemp(family)
                patch.setenv("HEADSTART_CACHE", str(place / "cache"))
                fit(place, family)
                folders[family] = place
            return folders[family] / "model"

        yield get


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return request.param


def inputs_for(model: Model, folder: Path) -> tuple[list[Any], dict[str, torch.Tensor]]:
    examples = open_dataset(next((folder / "data").iterdir())).examples[:6]
    return list(examples), inputs_of(model.backbone, [model.backbone.preprocess.decode(e) for e in examples])


def values_of(examples: list[Any]) -> list[Any]:
    return [next(iter(example.inputs.values())) for example in examples]


# The folder


def test_the_folder_holds_what_transformers_and_people_read(saved: Callable[[str], Path], family: str) -> None:
    folder = saved(family)
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.json", "model.safetensors", "README.md", "headstart.toml", "recipe.toml", "report.html"}
    assert names & {"tokenizer.json", "preprocessor_config.json"}
    config = json.loads((folder / "config.json").read_text())
    model = api.load(folder)
    assert config["id2label"] == {str(number): label for number, label in enumerate(model.labels)}
    assert config["label2id"] == {label: number for number, label in enumerate(model.labels)}
    assert "model-index:" in (folder / "README.md").read_text()
    tomllib.loads((folder / "recipe.toml").read_text())


def test_no_file_of_the_folder_is_a_pickle(saved: Callable[[str], Path], family: str) -> None:
    for path in saved(family).rglob("*"):
        assert path.suffix not in {".bin", ".pt", ".pth", ".pkl", ".ckpt", ".npy", ".npz", ".py"}
        assert path.read_bytes()[:2] not in {b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK"}


def test_no_file_of_this_machine_is_named_in_the_configuration(saved: Callable[[str], Path], family: str) -> None:
    folder = saved(family)
    for name in ("config.json", "README.md"):
        assert str(folder.parent) not in (folder / name).read_text()


def test_automodel_gives_the_same_features(saved: Callable[[str], Path], family: str) -> None:
    from transformers import AutoModel

    import headstart.hub  # noqa: F401  (our own networks)
    from headstart.backbones.contract import quiet

    folder = saved(family)
    model = api.load(folder)
    _, inputs = inputs_for(model, folder.parent)
    with quiet():
        network = AutoModel.from_pretrained(folder).eval()
    if network.config.is_encoder_decoder:
        network, inputs = network.get_encoder(), {**inputs, "attention_mask": torch.ones_like(inputs["attention_mask"])}
    with torch.no_grad():
        ours = run_blocks(model.backbone.blocks, inputs)[features_of(model.backbone.outputs)[0]]
        theirs = [network(**one).last_hidden_state[0] for one in one_by_one(inputs, model.backbone)]
    for row, alone in zip(ours, theirs, strict=True):
        torch.testing.assert_close(row[: len(alone)], alone, atol=1e-5, rtol=1e-5)


def test_the_configuration_never_names_a_class_that_would_predict_something_else(
    saved: Callable[[str], Path], family: str
) -> None:
    import transformers

    import headstart.hub  # noqa: F401

    folder = saved(family)
    model = api.load(folder)
    (named,) = json.loads((folder / "config.json").read_text())["architectures"]
    form = model.backbone.family.stock_form(model.head.name, model.task.full_name, model.backbone.config)
    assert named == (form.network_class().__name__ if form else GENERIC_CLASS)
    if not form:
        assert not hasattr(transformers, named)


def test_what_was_fitted_saved_and_loaded_predicts_alike(saved: Callable[[str], Path], tmp_path: Path) -> None:
    model = fit(tmp_path)
    examples, inputs = inputs_for(model, tmp_path)
    again = api.load(tmp_path / "model")
    np.testing.assert_allclose(again.logits(inputs), model.logits(inputs), atol=1e-6)
    np.testing.assert_allclose(again.logits(inputs), again.uncut_logits(inputs), atol=1e-5)
    assert (again.labels, again.freeze, again.kind, again.engine) == (model.labels, FREEZE, "text", "torch")
    assert again.facts["backbone"] == str(tmp_path / "network")
    for one, other in zip(model.predict(values_of(examples)), again.predict(values_of(examples)), strict=True):
        assert one.label == other.label
        assert one.score == pytest.approx(other.score, abs=1e-6)


def test_a_loaded_model_can_be_saved_elsewhere(saved: Callable[[str], Path], tmp_path: Path) -> None:
    api.load(saved("bert")).save(tmp_path / "ein Ordner é")
    assert api.load(tmp_path / "ein Ordner é").labels == ("negative", "positive")


# Prediction


def test_predictions_come_in_order_and_bad_inputs_in_their_place(saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = saved("vit")
    photos = sorted((folder.parent / "data" / "image").rglob("*.png"))
    bad = tmp_path / "bad photo é.png"
    bad.write_text("no picture")
    model = api.load(folder)
    found = model.predict([photos[0], bad, *photos[1:20]])
    assert isinstance(found[1], Skipped)
    assert all(isinstance(one, Label) for one in (found[0], *found[2:]))
    alone = model.predict(photos[0])
    assert alone[0].label == found[0].label
    assert alone[0].score == pytest.approx(found[0].score, abs=1e-5)
    assert len(found) == 21


def test_a_batch_of_bad_inputs_is_survived(saved: Callable[[str], Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG")
    assert all(isinstance(one, Skipped) for one in api.load(saved("vit")).predict([bad] * 17))


def test_no_input_gives_no_prediction(saved: Callable[[str], Path]) -> None:
    assert api.load(saved("bert")).predict([]) == []


# What crosses keep


@pytest.mark.parametrize("family", RAW)
@pytest.mark.parametrize(("keep", "freeze"), [(1, 0), pytest.param(2, 2, marks=pytest.mark.slow), (4, 2)])
def test_the_head_s_norm_becomes_the_final_norm_of_a_network_cut_short(
    family: str, keep: int, freeze: int, tmp_path: Path
) -> None:
    model = fit(tmp_path, family, keep=keep, freeze=freeze, storage="float32")
    record = model.record
    assert record is not None
    assert record.max_abs_difference <= 1e-5
    assert (record.keep, record.freeze) == (keep, freeze)
    again = api.load(tmp_path / "model")
    assert len(again.backbone.blocks) == keep + 1
    assert not list(again.head.norm.parameters())
    _, inputs = inputs_for(again, tmp_path)
    np.testing.assert_allclose(again.logits(inputs), model.logits(inputs), atol=1e-5)


def test_a_stream_of_small_values_is_normalised_as_the_network_would(tmp_path: Path) -> None:
    """The final norm of a Vision Transformer has another epsilon than PyTorch's own."""
    network = write_network(tmp_path / "network", "vit")
    weights = load_file(network / "model.safetensors")
    for name in weights:
        if name.startswith("embeddings"):
            weights[name] = weights[name] * 1e-3
    save_file(weights, network / "model.safetensors", metadata={"format": "pt"})
    write_examples(tmp_path / "data", "image")
    model = fit(tmp_path, "vit", keep=1, freeze=1, head="mean", storage="float32")
    assert model.record is not None
    assert model.record.max_abs_difference <= 1e-4


@pytest.mark.parametrize("keep", [1, 3])
def test_a_network_without_a_final_norm_is_cut_short_too(keep: int, tmp_path: Path) -> None:
    model = fit(tmp_path, "efficientnet-lite", keep=keep, freeze="all", storage="float32")
    again = api.load(tmp_path / "model")
    assert len(again.backbone.blocks) == keep
    _, inputs = inputs_for(again, tmp_path)
    np.testing.assert_allclose(again.logits(inputs), model.logits(inputs), atol=1e-5)


# What a run claims


def test_logits_of_the_cached_way_are_those_of_the_uncut_network(saved: Callable[[str], Path], family: str) -> None:
    record = api.load(saved(family)).record
    assert record is not None
    assert record.compared >= 8
    assert 0 < record.max_abs_difference < 5e-3


def test_float32_is_exact(family: str, tmp_path: Path) -> None:
    record = fit(tmp_path, family, storage="float32").record
    assert record is not None
    assert record.max_abs_difference <= 1e-5


def test_a_corrupted_row_shows_in_the_difference(tmp_path: Path) -> None:
    honest = fit(tmp_path, storage="float32").record
    example = open_dataset(tmp_path / "data" / "reviews.csv").examples[0]
    _corrupt(tmp_path / "cache" / "features", content_hash(example))
    record = fit(tmp_path, name="second", storage="float32").record
    assert honest is not None
    assert record is not None
    assert record.cache["computed"] == 0
    assert record.max_abs_difference > 1000 * honest.max_abs_difference
    assert record.max_abs_difference > 1e-3


def _corrupt(cache: Path, example: str) -> None:
    """Change one row so that no checksum can tell."""
    database = sqlite3.connect(cache / "catalogue.sqlite")
    entry, shard, position, name = database.execute(
        "SELECT row.entry, row.shard, row.position, shard.file FROM row JOIN shard ON shard.id = row.shard "
        "WHERE row.example = ?", (example,),
    ).fetchone()  # fmt: skip
    path = cache / entry / name
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    arrays = load_file(path)
    start, stop = arrays["offsets"][position : position + 2]
    arrays["hidden_states"][start:stop] += 3 * np.random.default_rng(0).normal(size=arrays["hidden_states"].shape[1])
    path.unlink()
    save_file(arrays, path, metadata=metadata)
    checksum = xxhash.xxh3_128(path.read_bytes()).hexdigest()
    with database:
        database.execute("UPDATE shard SET checksum = ? WHERE id = ?", (checksum, shard))
    database.close()


def test_a_second_fit_with_another_seed_computes_nothing(tmp_path: Path) -> None:
    first = fit(tmp_path).record
    second = fit(tmp_path, name="second", seed=1).record
    assert first is not None
    assert second is not None
    assert first.cache["computed"] == 24
    assert (second.cache["computed"], second.cache["hits"]) == (0, 24)


def test_the_same_fit_twice_gives_the_same_weights(tmp_path: Path) -> None:
    for name in ("first", "second"):
        fit(tmp_path, name=name)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_frozen_weights_are_saved_as_they_were_and_thawed_ones_are_not(tmp_path: Path) -> None:
    fit(tmp_path)
    before, after = (
        load_file(tmp_path / "network" / "model.safetensors"),
        load_file(tmp_path / "model" / "model.safetensors"),
    )
    after = {name.removeprefix("bert."): array for name, array in after.items()}
    for name, array in before.items():
        frozen = name.startswith("embeddings") or name.startswith("encoder.layer.0.")
        assert np.array_equal(after[name], array) == frozen, name


def test_only_the_trainable_part_is_in_memory_while_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    open_backbone = api.open_backbone
    monkeypatch.setattr(api, "open_backbone", lambda *a, **k: opened.append(open_backbone(*a, **k)) or opened[-1])
    held: list[set[str]] = []

    def listen(event: object) -> None:
        if isinstance(event, EpochEnded):
            held.append({n for n, p in opened[0].network.named_parameters() if not p.is_meta})

    fit(tmp_path, freeze=2, keep=3, listener=listen)
    above = {f"encoder.layer.1.{name}" for name, _ in opened[0].blocks[2].module.named_parameters()}
    assert held
    assert all(names == above for names in held)


def test_nothing_frozen_trains_the_ordinary_way(tmp_path: Path) -> None:
    model = fit(tmp_path, freeze=0, epochs=4)
    assert model.record is not None
    assert model.record.metrics["eval_accuracy"] >= 0.5
    before, after = (
        load_file(tmp_path / "network" / "model.safetensors"),
        load_file(tmp_path / "model" / "model.safetensors"),
    )
    assert not np.array_equal(
        before["embeddings.word_embeddings.weight"], after["bert.embeddings.word_embeddings.weight"]
        if "bert.embeddings.word_embeddings.weight" in after else after["embeddings.word_embeddings.weight"],
    )  # fmt: skip


# Damage


@pytest.fixture
def folder(saved: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of an adapted text model that a test may damage."""
    shutil.copytree(saved("bert"), tmp_path / "model")
    return tmp_path / "model"


def settings(folder: Path, **changes: dict[str, Any]) -> None:
    path = folder / "headstart.toml"
    written = tomllib.loads(path.read_text())
    for table, values in changes.items():
        written[table] |= values
    path.write_text(tomli_w.dumps(written))


def test_a_folder_of_a_newer_version_says_so(folder: Path) -> None:
    settings(folder, headstart={"format": 99, "version": "9.9"})
    with pytest.raises(VersionError, match=r"headstart 9\.9, which is newer") as caught:
        api.load(folder)
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"headstart": {"format": "one"}},
        {"headstart": {"format": [1]}},
        {"model": {"freeze": 99}},
        {"model": {"freeze": "some"}},
        {"model": {"freeze": -1}},
        {"model": {"head": "nonsense"}},
        {"model": {"head": 3}},
        {"model": {"head": "average"}},
        {"model": {"engine": "nonsense"}},
        {"task": {"name": "text-nonsense"}},
        {"task": {"labels": 5}},
        {"task": {"labels": ["one"]}},
        {"task": {"labels": ["a", "b", "c"]}},
        {"task": {"labels": [1, 2]}},
        {"task": {"kind": "smell"}},
    ],
)
def test_damaged_settings_are_refused(folder: Path, changes: dict[str, dict[str, Any]]) -> None:
    settings(folder, **changes)
    with pytest.raises(ModelError) as caught:
        api.load(folder)
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"[model", b"\xff\xfe\x00", b"x = 1", b"headstart = 3"])
def test_settings_that_are_no_settings_are_refused(folder: Path, content: bytes) -> None:
    (folder / "headstart.toml").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"headstart\.toml` is damaged"):
        api.load(folder)


@pytest.mark.parametrize("table", ["headstart", "model", "task"])
def test_settings_that_lack_a_table_are_refused(folder: Path, table: str) -> None:
    path = folder / "headstart.toml"
    written = tomllib.loads(path.read_text())
    del written[table]
    path.write_text(tomli_w.dumps(written))
    with pytest.raises(CheckpointError, match="is damaged"):
        api.load(folder)


def test_a_folder_that_is_no_model_is_told_for_what_it_is(tmp_path: Path) -> None:
    write_network(tmp_path / "network")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "recipe.toml").write_text("")
    expected = {
        ".": ("not a model that headstart saved", "headstart.toml"),
        "networks": ("there is no model", "network`"),
        "network": ("no model yet", "--backbone"),
        "unfinished": ("an unfinished run", "--resume"),
    }
    for name, (message, hint) in expected.items():
        with pytest.raises(ModelError, match=message) as caught:
            api.load(tmp_path / name)
        assert hint in caught.value.hint
    with pytest.raises(ModelError, match="no model yet"):
        api.load("minilm-l6")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"headstart": {"format": -1}}, "its format is `-1`"),
        ({"model": {"freeze": 99}}, "the network has"),
        ({"model": {"freeze": True}}, "no number of blocks"),
        ({"model": {"head": "maen"}}, "there is no head `maen`"),
        ({"task": {"labels": "ab"}}, "no list of different names"),
        ({"task": {"labels": ["a", "a"]}}, "no list of different names"),
        ({"task": {"labels": ["positive", "negative"]}}, "and config.json"),
        ({"task": {"kind": "image"}}, "and the kind `image`"),
        ({"task": {"name": "text-regression"}}, "does not describe a `text-regression`"),
    ],
)
def test_settings_that_cannot_be_are_told_with_the_value(
    folder: Path, changes: dict[str, dict[str, Any]], words: str
) -> None:
    settings(folder, **changes)
    with pytest.raises(CheckpointError) as caught:
        api.load(folder)
    assert words in caught.value.message
    assert "headstart.toml" in caught.value.message


@pytest.mark.slow
def test_more_than_ten_classes_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.model._verify", lambda *_: None)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    rows = [row | {"label": f"class {n % 12}"} for n, row in enumerate(reviews(24))]
    data, network = write_table(tmp_path / "many.csv", rows), write_network(tmp_path / "network")
    made = api.fit(data, backbone=str(network), freeze="all", baselines=False, output_dir=tmp_path / "model")
    assert api.load(tmp_path / "model").labels == made.labels


def test_a_model_of_one_text_takes_no_pairs(folder: Path) -> None:
    (answer,) = api.load(folder).predict([("a good film", "a bad one")])
    assert "reads one" in answer.error


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(2000))


def huge_header(path: Path) -> None:
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")


def one_weight_less(path: Path) -> None:
    tensors = load_file(path)
    del tensors[sorted(tensors)[3]]
    save_file(tensors, path, metadata={"format": "pt"})


def no_head(path: Path) -> None:
    tensors = {name: tensor for name, tensor in load_file(path).items() if not name.startswith("head.")}
    save_file(tensors, path, metadata={"format": "pt"})


def another_shape(path: Path) -> None:
    tensors = load_file(path)
    name = next(name for name in sorted(tensors) if tensors[name].ndim == 2)
    tensors[name] = tensors[name][:, :-1].copy()
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    "damage", [truncated, random_bytes, huge_header, one_weight_less, no_head, another_shape, Path.unlink]
)
def test_damaged_weights_are_refused(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        api.load(folder)
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 64},
        {"num_hidden_layers": 5},
        {"num_hidden_layers": 2},
        {"num_attention_heads": 5},
        {"vocab_size": 7},
        {"model_type": "nonsense"},
        {"hidden_act": "nonsense"},
        {"hidden_size": "wide"},
    ],
)
def test_a_configuration_of_another_network_is_refused(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError) as caught:
        api.load(folder)
    assert caught.value.hint


def test_layers_that_the_configuration_leaves_out_are_missed_in_every_family(family: str, tmp_path: Path) -> None:
    network = write_network(tmp_path / "network", family)
    backbone = open_backbone(network)
    backbone.truncate(2)
    backbone.config.save_pretrained(network)
    with pytest.raises(CheckpointError, match="only"):
        open_backbone(network)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"model_type": []}'])
def test_a_configuration_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError):
        api.load(folder)


def test_a_missing_tokenizer_is_refused(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(CheckpointError, match="no tokenizer"):
        api.load(folder)


def test_a_damaged_record_is_an_error_only_for_who_wants_the_record(folder: Path) -> None:
    (folder / "headstart.json").write_text("{")
    model = api.load(folder)
    assert isinstance(model.predict(["a good film"])[0], Label)
    with pytest.raises(CheckpointError, match="is damaged"):
        _ = model.record


class Canary:
    """A pickle that leaves a trace when it is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "training_args.bin", "tokenizer.pkl", "head.pth"])
@pytest.mark.parametrize("weights_present", [True, False])
def test_a_pickle_in_the_folder_is_never_opened(folder: Path, name: str, weights_present: bool) -> None:
    trace = folder.parent / "trace"
    (folder / name).write_bytes(pickle.dumps(Canary(trace)))
    (folder / f"{name}.zip").write_bytes(pickle.dumps(Canary(trace)))
    if weights_present:
        assert isinstance(api.load(folder).predict(["a good film"])[0], Label)
    else:
        (folder / "model.safetensors").unlink()
        with pytest.raises(HeadstartError):
            api.load(folder)
    assert not trace.exists()


def test_code_in_the_folder_is_never_run(folder: Path) -> None:
    trace = folder.parent / "trace"
    (folder / "modeling_bert.py").write_text(f"open({str(trace)!r}, 'w')\nclass Evil: pass\n")
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"auto_map": {"AutoModel": "modeling_bert.Evil"}}
    path.write_text(json.dumps(config))
    api.load(folder).predict(["a good film"])
    assert not trace.exists()


# Saving


def test_a_failed_fit_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise CheckpointError("the saved folder gives other numbers", "report it")

    monkeypatch.setattr(model_module, "_verify", refuse)
    with pytest.raises(CheckpointError):
        fit(tmp_path)
    assert not (tmp_path / "model").exists()
