"""What a backbone is: an ordered list of blocks over named tensors that can be cut anywhere.

A family file wraps the modules of a well-kept library (transformers) in blocks and states, in the members of
`Family`, what is particular to it. Nothing outside this folder knows one family from another.

Shapes: N examples, T steps, D width, C channels, H W size, K classes.
"""

from __future__ import annotations

import copy
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import nn

from headstart.checkpoints.safetensors_folder import shards_of
from headstart.cut import Block, Features, FrozenPart, live_names
from headstart.errors import CheckpointError, HeadstartError, ModelError, UnsafeFile, first_line
from headstart.preprocess.contract import Preprocess
from headstart.types import Example, Kind, Spec

Depth = int | str  # a number of blocks, or `all`

# Entries of a network's configuration that do not change what its blocks compute.
_BOOKKEEPING = {
    "_name_or_path", "architectures", "transformers_version", "dtype", "id2label", "label2id", "problem_type",
    "num_hidden_layers", "encoder_layers", "decoder_layers", "classifier_proj_size", "num_labels",
}  # fmt: skip


@dataclass(frozen=True)
class StockForm:
    """How transformers names a head that it has a class for.

    Attributes:
        network_class: returns the class, such as `ViTForImageClassification`; imported only when asked.
        names: the class's module for each module of our head that has weights: `{"linear": "classifier"}`.
        config: entries that the class needs in its configuration.
        prepare: sets weights of the class that our head does not have, so that it computes the same.
    """

    network_class: Callable[[], Any]
    names: Mapping[str, str]
    config: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Any], None] = lambda network: None


class Family(ABC):
    """One kind of network. A family is one file; `family = MyFamily()` in it is all that registers it.

    Attributes:
        name: `bert`. kind: what it reads. model_types: values of `model_type` in config.json.
        prefix: where transformers' task classes hold this network (`bert` in BertForSequenceClassification).
        head: the default head, by measurement.
    """

    name: str
    kind: Kind
    model_types: tuple[str, ...]
    prefix: str
    head: str

    def configuration(self, written: Mapping[str, Any]) -> Any:
        """Return the transformers configuration for the contents of a config.json; it may raise anything."""
        from transformers import AutoConfig

        return AutoConfig.for_model(**written)

    def adjust(self, config: Any, examples: Sequence[Example]) -> None:  # noqa: B027
        """Fit the input window to the user's examples, in the configuration; nothing to do for most families."""

    @abstractmethod
    def build(self, config: Any) -> Any:
        """Return the network with random weights."""

    @abstractmethod
    def blocks(self, network: Any) -> list[Block]:
        """Return the network's blocks from the input on; they share its modules."""

    @abstractmethod
    def truncate(self, network: Any, keep: int) -> None:
        """Drop the blocks above `keep` from the network and its configuration, in place."""

    @abstractmethod
    def preprocess(self, folder: Path, config: Any) -> Preprocess:
        """Return the preprocessing that the folder in hub layout describes."""

    @property
    @abstractmethod
    def inputs(self) -> Mapping[str, Spec]:
        """Names and shapes of what the first block reads."""

    @abstractmethod
    def tiny(self) -> Any:
        """Return the configuration of a very small network of this family, for tests and first tries."""

    @abstractmethod
    def sample(self, config: Any, examples: int = 2) -> Features:
        """Return random inputs of `examples` examples for a network of this configuration, two lengths where ragged."""

    def default_depths(self, blocks: int) -> tuple[int, int]:
        """Return `keep` and `freeze` measured to be good on small data, for a network of `blocks` blocks."""
        return blocks, blocks

    def stock_form(self, head: str, task: str, config: Any) -> StockForm | None:
        """Return how transformers names this head on this network, or None where no class of it computes the same."""
        return None

    def register(self) -> None:  # noqa: B027
        """Register the family's own classes with transformers' Auto classes; nothing to do for transformers' own."""

    def convert(self, folder: Path) -> Path | None:
        """Return a folder in hub layout made from another published format, or None if it is not ours."""
        return None

    def open(self, folder: Path, config: Any) -> Any:
        """Return the network with the folder's weights in float32, never running code out of the folder.

        Raises:
            CheckpointError: a weight is missing, has another shape, or the file is damaged.
        """
        return load_network(type(self.build_empty(config)), folder, config)

    def build_empty(self, config: Any) -> Any:
        """Return the network without memory for its weights, to learn its class and shapes."""
        with torch.device("meta"):
            return self.build(config)


def load_network(network_class: Any, folder: Path, config: Any, *, needed: str = "", **options: Any) -> Any:
    """Load a transformers network from safetensors and make sure that no weight is missing.

    Args:
        needed: only names with this prefix must be present (an encoder of a larger network).
    """
    _refuse_pickles(folder)
    _refuse_adapter(folder)
    shards_of(folder)  # names no file outside the folder
    try:
        with quiet():
            _require_weights(network_class, folder, config, options)
            network, info = network_class.from_pretrained(
                folder, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True,
                dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True, **options,
            )  # fmt: skip
    except HeadstartError:
        raise
    except Exception as error:  # the libraries below raise a dozen unrelated types on damaged files
        raise CheckpointError(
            f"the weights in `{folder}` cannot be loaded: {first_line(error)}",
            "the file is damaged or does not belong to its config.json; obtain the folder again",
        ) from error
    missing = [name for name in info["missing_keys"] if name.startswith(needed)]
    if missing:
        raise CheckpointError(
            f"the weights in `{folder}` lack `{sorted(missing)[0]}` ({len(missing)} missing)",
            "the file does not belong to its config.json; obtain the folder again",
        )
    _require_all_layers(network, info["unexpected_keys"], folder)
    _require_sound(network, info["mismatched_keys"], folder)
    return network.eval()


def _refuse_pickles(folder: Path) -> None:
    pickles = [path.name for path in sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt*"))]
    if pickles and not any(folder.glob("*.safetensors")):
        raise UnsafeFile(
            f"`{folder / pickles[0]}` is a pickle, which may run code, and was not opened",
            "obtain the same weights as model.safetensors",
        )


def _refuse_adapter(folder: Path) -> None:
    """Raise where the folder has an adapter: transformers reads it, and what it names, where peft is installed."""
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(
            f"`{folder / 'adapter_config.json'}` describes an adapter of peft, which is not read",
            "merge it into the weights with peft's merge_and_unload(), and save those",
        )


def _require_weights(network_class: Any, folder: Path, config: Any, options: Mapping[str, Any]) -> None:
    """Raise where a configuration describes more weights than the files have bytes, before memory is given to them."""
    with torch.device("meta"):
        described = sum(weight.numel() for weight in network_class(config, **options).parameters())
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if described > stored:
        raise CheckpointError(
            f"`{folder}/config.json` describes {described:,} weights, and the files have {stored:,} bytes",
            "the file does not belong to its config.json; obtain the folder again",
        )


def _require_sound(network: nn.Module, mismatched: Iterable[tuple[str, Any, Any]], folder: Path) -> None:
    """Raise where a weight of the file has another shape than the configuration says, or is no number."""
    for name, found, wanted in sorted(mismatched):
        raise CheckpointError(
            f"`{name}` in `{folder}` has the shape {list(found)}, and its config.json says {list(wanted)}",
            "the file does not belong to its config.json; obtain the folder again",
        )
    for name, weight in network.named_parameters():
        if not weight.isfinite().all():
            raise CheckpointError(f"`{name}` in `{folder}` holds values that are no numbers", "obtain the folder again")


def _require_all_layers(network: nn.Module, unread: Iterable[str], folder: Path) -> None:
    """Heads and decoders may lie unread in a file, but never a layer above the last one of the configuration."""
    lists = {name: len(module) for name, module in network.named_modules() if isinstance(module, nn.ModuleList)}
    for name in sorted(unread):
        for layers, count in lists.items():
            found = re.search(rf"(?:^|\.){re.escape(layers)}\.(\d+)\.", name)
            if found and int(found[1]) >= count:
                raise CheckpointError(
                    f"the weights in `{folder}` hold `{name}`, and config.json has only {count} such layers",
                    "the file does not belong to its config.json; obtain the folder again",
                )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing bars and load reports: the caller checks what they would say."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


class Backbone:
    """A pre-trained network as an ordered list of blocks, with its preprocessing.

    Attributes:
        name: as the user called it. source: the folder in hub layout it came from.
        blocks: all blocks. inputs: what the first reads. outputs: what a head reads after the last.
    """

    def __init__(self, *, name: str, family: Family, network: Any, preprocess: Preprocess, source: Path) -> None:
        self.name = name
        self.family = family
        self.network = network
        self.preprocess = preprocess
        self.source = source
        self.blocks = family.blocks(network)
        self.inputs = dict(family.inputs)

    @property
    def kind(self) -> Kind:
        return self.family.kind

    @property
    def config(self) -> Any:
        return self.network.config

    @property
    def outputs(self) -> dict[str, Spec]:
        return self.outputs_at(len(self.blocks))

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def specs_at(self, depth: int) -> dict[str, Spec]:
        """Return the shapes of all named tensors that exist after `depth` blocks."""
        specs = dict(self.inputs)
        for block in self.blocks[:depth]:
            specs.update(block.writes)
        return specs

    def outputs_at(self, keep: int) -> dict[str, Spec]:
        """Return what a head reads after block `keep`: the features and their mask, if there is one."""
        specs = self.specs_at(keep)
        return {name: spec for name, spec in specs.items() if spec.kind != "input"}

    def reopen(self) -> Backbone:
        """Return the backbone as it was pre-trained, read from its source again."""
        network = self.family.open(self.source, copy.deepcopy(self.config))
        return Backbone(
            name=self.name,
            family=self.family,
            network=network,
            preprocess=self.preprocess,
            source=self.source,
        )

    def truncate(self, keep: int) -> None:
        """Drop the blocks above `keep` for good; a pre-norm network keeps its final norm as one more block."""
        self.family.truncate(self.network, keep)
        self.blocks = self.family.blocks(self.network)

    def release_except(self, blocks: Sequence[Block]) -> None:
        """Give back the memory of all blocks but these; the released ones cannot run afterwards."""
        for block in self.blocks:
            if not any(block is kept for kept in blocks):
                block.to("meta")

    def depth(self, value: Depth, word: str = "freeze") -> int:
        """Return a depth as a number from 0 to the number of blocks.

        Raises:
            ModelError: there are not so many blocks.
        """
        blocks = len(self.blocks)
        if value == "all":
            return blocks
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= blocks:
            raise ModelError(
                f"cannot {word} {value} blocks of `{self.name}`, which has {blocks}",
                f"choose a depth from {int(word == 'keep')} to {blocks}, or `all`",
            )
        return value

    def depths(self, keep: Depth, freeze: Depth) -> tuple[int, int]:
        """Return `keep` and `freeze` as numbers; `freeze="all"` means all that are kept."""
        keep = self.depth(keep, "keep")
        if keep == 0:
            raise ModelError("cannot keep 0 blocks: the head reads after the last kept one", "keep at least 1")
        freeze = keep if freeze == "all" else self.depth(freeze)
        if freeze > keep:
            raise ModelError(
                f"cannot freeze {freeze} blocks when only {keep} are kept",
                f"choose `freeze` from 0 to {keep}",
            )
        return keep, freeze

    def cut(self, freeze: Depth, keep: Depth = "all") -> tuple[FrozenPart, list[Block]]:
        """Split the kept blocks into the frozen part and the blocks that will be trained."""
        keep, freeze = self.depths(keep, freeze)
        above = self.blocks[freeze:keep]
        crossing = live_names(above, self.outputs_at(keep))
        return FrozenPart(self.blocks[:freeze], writes=crossing, specs=self.specs_at(freeze)), above

    def fingerprint(self) -> str:
        """Return a hash of the settings that decide what the blocks compute; weights are hashed by block."""
        settings = {k: v for k, v in self.config.to_dict().items() if k not in _BOOKKEEPING}
        text = json.dumps([self.family.name, settings], sort_keys=True, default=str)
        return xxhash.xxh3_128(text.encode()).hexdigest()
