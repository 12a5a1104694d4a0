"""The adapted network that the user keeps: predict, save, load. It knows nothing of training."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch

from headstart.backbones import open_backbone
from headstart.backbones.contract import Backbone, StockForm, quiet
from headstart.cut import Features, TrainablePart, run_blocks, to_device
from headstart.data.dataset import open_inputs
from headstart.data.truncation import cut_short_notes
from headstart.device import resolve_device
from headstart.durable import folder_appears, write_durably
from headstart.engines.contract import Runner
from headstart.errors import CheckpointError, ModelError, UnreadableFile
from headstart.events import Listener, Note, Progress, ignore
from headstart.features.extract import BATCH, inputs_of
from headstart.heads.contract import Head, make_head
from headstart.place import given_path
from headstart.record import SETTINGS, Record
from headstart.registry import plugin
from headstart.settings import FORMAT, read_settings, require_fitting
from headstart.tasks.contract import Task
from headstart.types import Example, Kind, Prediction, Skipped

RECORD = "headstart.json"
GENERIC_CLASS = "HeadstartForClassification"
_AGREE = 1e-4  # of the largest output: a saved folder gives the same logits as the network that was saved


# What transformers' pipelines call the preprocessing of each kind, and what reads it from a folder.
_READERS = {
    "text": ("tokenizer", "AutoTokenizer"),
    "image": ("image_processor", "AutoImageProcessor"),
    "audio": ("feature_extractor", "AutoFeatureExtractor"),
}


@dataclass
class Model:
    """An adapted backbone with its head and task.

    Attributes:
        backbone: the kept blocks, trained ones included. freeze: how many of them were frozen.
        head, task: what reads the features, and what for. engine: what runs the frozen part.
        facts: what the run wants to remember: the original backbone's name, `keep`, licence and origin.
        folder: where it is saved, or None. device: where it predicts.
    """

    backbone: Backbone
    freeze: int
    head: Head
    task: Task
    engine: str
    facts: Mapping[str, Any]
    folder: Path | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        self.backbone.network.to(self.device)
        self.head.to(self.device)
        self._frozen, above = self.backbone.cut(self.freeze)
        self._trainable = TrainablePart(above, self.head).eval().requires_grad_(False)
        self._runner: Runner | None = None

    @property
    def kind(self) -> Kind:
        return self.task.kind

    @property
    def labels(self) -> tuple[str, ...]:
        return getattr(self.task, "labels", ())

    @property
    def unsure_below(self) -> float | None:
        """The certainty of a prediction below which validation found too many wrong; None where it found none such."""
        return self.facts.get("unsure_below")

    def is_unsure(self, prediction: Prediction) -> bool:
        """Say whether a prediction is one that better nobody relies on."""
        certainty, threshold = prediction.certainty, self.unsure_below
        return certainty is not None and threshold is not None and certainty < threshold

    @property
    def record(self) -> Record | None:
        """What the run measured, as written beside the weights."""
        path = self.folder and self.folder / RECORD
        if not path or not path.is_file():
            return None
        try:
            return Record.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"`{path}` is damaged", "train the model again to get a report") from error

    @property
    def stock_form(self) -> StockForm | None:
        """How transformers names the head, None where it has no class that computes the same."""
        return stock_form(self.backbone, self.head, self.task)

    @property
    def usage(self) -> str:
        """How transformers reads the saved folder, as Markdown with Python code."""
        form = self.stock_form
        part, reader = _READERS[self.kind]
        lines, model = ["from transformers import pipeline"], 'model="MODEL_DIR"'
        if not (form and form.network_class().__module__.startswith("transformers.")):
            lines.insert(0, "import headstart.hub")
        if not form:
            lines += ["", 'model = headstart.hub.HeadstartForClassification.from_pretrained("MODEL_DIR")']
            model = f'model=model, {part}={reader}.from_pretrained("MODEL_DIR")'
            lines[lines.index("from transformers import pipeline")] = f"from transformers import {reader}, pipeline"
        return "\n".join(["```python", *lines, "", f'predict = pipeline("{self.task.pipeline}", {model})', "```"])

    def predict(
        self, inputs: Sequence[str | Path | tuple[str, str]] | str | Path, *, listener: Listener = ignore
    ) -> list[Any]:
        """Return one prediction an input, in order: paths of files or folders; for a text model texts or pairs of them.

        An input that cannot be read gives a `Skipped` with the reason in its place.
        """
        values = [inputs] if isinstance(inputs, str | Path) else list(inputs)
        examples = self._examples(values)
        return [prediction for _, prediction in self.predict_examples(examples, listener=listener)]

    def predict_examples(
        self, examples: Sequence[Example | Skipped], *, listener: Listener = ignore
    ) -> Iterator[tuple[Example | Skipped, Any]]:
        """Yield each example with its prediction, batch by batch, in order; what was skipped stays skipped."""
        for sentence in cut_short_notes([example for example in examples if isinstance(example, Example)]):
            listener(Note(sentence))
        for example, row in self.logits_of(examples, listener=listener):
            if isinstance(row, Skipped) or isinstance(example, Skipped):
                yield example, row
            else:
                yield example, self.task.decode(row[None], [example])[0]

    def logits_of(
        self, examples: Sequence[Example | Skipped], *, listener: Listener = ignore
    ) -> Iterator[tuple[Example | Skipped, np.ndarray | Skipped]]:
        """Yield each example with the head's raw outputs, [K], batch by batch, in order."""
        for start in range(0, len(examples), BATCH):
            group = examples[start : start + BATCH]
            decoded = [self._decode(example) for example in group]
            good = [one for one in decoded if not isinstance(one, Skipped)]
            rows = iter(self.logits(inputs_of(self.backbone, good)) if good else ())
            for example, one in zip(group, decoded, strict=True):
                yield example, one if isinstance(one, Skipped) else next(rows)
            listener(Progress("predict", min(start + BATCH, len(examples)), len(examples)))

    @torch.no_grad()
    def logits(self, inputs: Features) -> np.ndarray:
        """Return the head's raw outputs for a batch of inputs, by the engine that the model was trained with."""
        if self._runner is None:
            self._runner = plugin("engines", self.engine).prepare(self._frozen, inputs)
        crossing = to_device(self._runner(inputs), self._trainable.device)
        return self._trainable(crossing).cpu().numpy()

    @torch.no_grad()
    def uncut_logits(self, inputs: Features) -> np.ndarray:
        """Return the head's raw outputs with all blocks run by PyTorch in float32, without any cut."""
        inputs = to_device(inputs, self._trainable.device)
        return self.head(run_blocks(self.backbone.blocks, inputs)).cpu().numpy()

    def save(self, folder: str | Path, *, sample: Features | None = None) -> None:
        """Write a folder in hub layout, reload it in a fresh process and compare before it appears under its name.

        Args:
            folder: absent or empty.
            sample: a batch of inputs to compare on; a model that was loaded is copied as it is.

        Raises:
            ModelError: there is something in the folder. NoSpace: the disk is full.
            CheckpointError: the reloaded model gives other numbers.
        """
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ModelError(f"the folder `{folder}` exists", "choose another, or remove it")
        if sample is None and self.folder is None:
            raise ModelError("the model has not been saved before", "give `sample`, a batch of inputs to compare on")
        with folder_appears(folder, 4 * self.backbone.parameters) as made:
            if sample is None:
                shutil.copytree(str(self.folder), made, dirs_exist_ok=True)
                return
            with quiet():
                self._write_network(made)
                self.backbone.preprocess.save(made)
            write_durably(made / SETTINGS, tomli_w.dumps(self._settings()).encode())
            _verify(made, sample, self.uncut_logits(sample))
        self.folder = folder

    def _examples(self, values: Sequence[Any]) -> list[Example | Skipped]:
        if self.kind == "text" and not any(isinstance(value, Path) for value in values):
            return [Example(f"text {i + 1}", _texts(value)) for i, value in enumerate(values)]
        return open_inputs(values, self.task.kind)

    def _decode(self, example: Example | Skipped) -> Any:
        if isinstance(example, Skipped):
            return example
        if "text_pair" in self.facts.get("inputs", example.inputs) and "text_pair" not in example.inputs:
            return Skipped(example.name, "has no second text, and the model reads two")
        if "text_pair" in example.inputs and "text_pair" not in self.facts.get("inputs", example.inputs):
            return Skipped(example.name, "has a second text, and the model reads one")
        try:
            return self.backbone.preprocess.decode(example)
        except UnreadableFile as error:
            return Skipped(example.name, error.cause)

    def _settings(self) -> dict[str, Any]:
        return {
            "headstart": {"format": FORMAT, "version": version("headstart")},
            "model": {"freeze": self.freeze, "head": self.head.name, "engine": self.engine, **self.facts},
            "task": {"name": self.task.full_name, **self.task.to_config()},
        }

    def _write_network(self, folder: Path) -> None:
        form = self.stock_form
        network = self.backbone.network
        network.config.id2label = dict(enumerate(self.task.output_names))
        network.config.label2id = {label: number for number, label in enumerate(self.task.output_names)}
        network.config.problem_type = self.task.problem_type
        if form is None:
            _save_generic(network, self.head, folder)
            return
        network.config.update(dict(form.config))
        whole = form.network_class()(network.config)
        whole.get_submodule(self.backbone.family.prefix).load_state_dict(network.state_dict(), strict=False)
        form.prepare(whole)
        for ours, theirs in form.names.items():
            whole.get_submodule(theirs).load_state_dict(self.head.get_submodule(ours).state_dict())
        whole.save_pretrained(folder, max_shard_size="1TB")


def _texts(value: Any) -> dict[str, str | Path]:
    """Return the inputs of a text, or of a pair of texts."""
    if isinstance(value, tuple):
        return dict(zip(("text", "text_pair"), map(str, value), strict=True))
    return {"text": str(value)}


def stock_form(backbone: Backbone, head: Head, task: Task) -> StockForm | None:
    """Return how transformers names a head, None where it has no class that computes the same."""
    return backbone.family.stock_form(head.name, task.pipeline, backbone.config)


def _save_generic(network: Any, head: Head, folder: Path) -> None:
    """Save a head that transformers has no class for under `head.`, and name our class, never a stock one."""
    from safetensors.torch import load_file, save

    network.save_pretrained(folder, max_shard_size="1TB")
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    tensors |= {f"head.{name}": tensor.contiguous() for name, tensor in head.state_dict().items()}
    write_durably(weights, save(tensors, metadata={"format": "pt"}))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["architectures"] = [GENERIC_CLASS]
    write_durably(folder / "config.json", json.dumps(config, indent=2, sort_keys=True).encode())


def load(folder: str | Path, *, device: str = "auto") -> Model:
    """Load a model that headstart saved, to predict on `device`.

    Raises:
        ModelError: the folder is none, is damaged, or (VersionError) was written by a newer headstart.
    """
    folder = given_path(folder, what="the model folder")
    settings = read_settings(folder)
    task, backbone = settings.task, open_backbone(folder)
    require_fitting(folder, settings, blocks=len(backbone.blocks), names=backbone.config.id2label)
    task.read_with(backbone.preprocess)
    head = make_head(settings.head, backbone.outputs, task.outputs)
    _load_head(head, backbone, task, folder)
    device = resolve_device(device)
    return Model(backbone, settings.freeze, head.eval(), task, settings.engine, settings.facts, folder, device)


def _load_head(head: Head, backbone: Backbone, task: Task, folder: Path) -> None:
    from safetensors import SafetensorError, safe_open

    form = stock_form(backbone, head, task)
    names = form.names if form else {name: f"head.{name}" for name, _ in head.named_children()}
    state = {}
    try:
        with safe_open(folder / "model.safetensors", "pt") as file:
            for name in head.state_dict():
                module, _, leaf = name.rpartition(".")
                state[name] = file.get_tensor(f"{names[module]}.{leaf}")
        head.load_state_dict(state)
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"`{folder / 'model.safetensors'}` does not hold the head `{head.name}`", "save the model again"
        ) from error


def assemble(trained: Backbone, trainable: TrainablePart, *, keep: int) -> tuple[Backbone, Head]:
    """Return the whole adapted network: weights of the frozen blocks from their source, all others as trained.

    The trained backbone's frozen blocks have given their memory back by now. Where the head normalised a raw
    residual stream itself, that norm becomes the network's final norm, so that transformers computes the same.
    """
    whole = trained.reopen()
    whole.truncate(keep)
    kept = whole.network.state_dict()
    changed = {k: v for k, v in trained.network.state_dict().items() if k in kept and not v.is_meta}
    whole.network.load_state_dict(changed, strict=False)
    old = trainable.head
    head = make_head(old.name, whole.outputs, old.linear.out_features)
    state = old.state_dict()
    norm = {name.removeprefix("norm."): state.pop(name) for name in list(state) if name.startswith("norm.")}
    if norm:
        whole.blocks[-1].module.load_state_dict(norm)
    head.load_state_dict(state)
    return whole, head.eval()


def _verify(folder: Path, sample: Features, expected: np.ndarray) -> None:
    """Let a fresh process load the folder, with headstart and with transformers, and compare logits."""
    from safetensors.numpy import load_file
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory() as place:
        given, returned = Path(place) / "inputs.safetensors", Path(place) / "logits.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in sample.items()}, given)
        command = [sys.executable, "-P", "-m", "headstart.verify", str(folder), str(given), str(returned)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if result.returncode:
            raise CheckpointError(
                f"the saved folder `{folder}` does not load again: {result.stderr.strip()[-300:]}",
                "this is a fault of headstart; please report it",
            )
        for reader, logits in load_file(returned).items():
            difference = float(np.abs(logits - expected).max())
            if not difference <= _AGREE * max(1.0, float(np.abs(expected).max())):
                raise CheckpointError(
                    f"the saved folder `{folder}` gives other numbers with {reader} (by {difference:.2g})",
                    "this is a fault of headstart; please report it",
                )
