"""Features for other programs: one pooled vector an example, computed once and written as parquet or safetensors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from headstart.backbones import open_backbone
from headstart.data.checks import require_existing
from headstart.data.dataset import Dataset, open_dataset, open_inputs
from headstart.data.media import kind_of_file
from headstart.data.objects import data_path
from headstart.data.targets import TargetForm
from headstart.data.walk import walk
from headstart.device import resolve_device
from headstart.durable import write_durably
from headstart.errors import DataError, MissingExtra, UsageError, nearest
from headstart.events import Listener, Note, ignore
from headstart.features.cache import open_cache
from headstart.features.extract import extract
from headstart.features.pooling import pooled
from headstart.heads.contract import make_head
from headstart.ranking.defaults import choose_backbone, choose_engine
from headstart.training.recipe import Depth, Recipe
from headstart.types import Example, Kind, Skipped


@dataclass(frozen=True)
class Embedding:
    """Vectors [N, D] of `examples`, in order; `skipped` are those that cannot be read."""

    vectors: np.ndarray
    examples: tuple[Example, ...]
    skipped: tuple[Skipped, ...]
    backbone: str
    keep: int


def embed(
    data: Any, *, backbone: str = "auto", keep: Depth = "auto", recipe: Recipe | None = None,
    listener: Listener = ignore, **settings: Any,
) -> Embedding:  # fmt: skip
    """Return one vector an example: the features after block `keep`, pooled as the family's head pools them.

    Args:
        data: a folder, a table or a data set as `fit` reads it, or without labels as `predict` does.
        keep: which block the vectors are read after; `auto` is the family's measured default.
        recipe: the other settings: columns, engine, device, storage, cache, seed.

    Raises:
        HeadstartError: what is wrong and the way out.
    """
    recipe = (recipe or Recipe()).replace(**settings)
    dataset = _open(data_path(data), recipe)
    name = choose_backbone(dataset.kind, backbone)
    network = open_backbone(name, examples=dataset.examples, device=resolve_device(recipe.device))
    default, _ = network.family.default_depths(len(network.blocks))
    depth = network.depth(default if keep == "auto" else keep, "keep")
    frozen, _ = network.cut(depth, depth)
    head = make_head(network.family.head, network.outputs_at(depth), 1)
    with open_cache(keep=recipe.cache) as cache:
        features = extract(
            dataset.examples, backbone=network, frozen=frozen, engine=choose_engine(recipe), cache=cache,
            storage=recipe.storage, hashes=dataset.hashes, listener=listener,
        )  # fmt: skip
    for sentence in dataset.notes:
        listener(Note(sentence))
    skipped = (*dataset.skipped, *features.skipped)
    for one in skipped:
        listener(Note(f"skipped {one.name}: it {one.error}"))
    return Embedding(pooled(features, head), features.examples, skipped, name, depth)


class AsFound(TargetForm):
    """Targets as the data hold them, none included, lists as JSON: they are passed on, not learnt."""

    def claims(self, examples: Sequence[Example]) -> int:
        return 1

    def read(self, example: Example) -> Any:
        target = example.target
        return json.dumps(target, ensure_ascii=False, default=str) if isinstance(target, list | dict) else target

    def classes(self, target: Any) -> tuple[str, ...]:
        return (target,) if isinstance(target, str) else ()


def _open(source: Path, recipe: Recipe) -> Dataset:
    """Read labelled data; what has no labels is read like what is to be predicted, without splits."""
    try:
        return open_dataset(
            source, forms=[AsFound()], seed=recipe.seed, text_column=recipe.text_column,
            label_column=recipe.label_column, group_column=recipe.group_column,
        )  # fmt: skip
    except DataError:
        kinds = map(kind_of_file, walk(require_existing(source)))
        kind: Kind = next((one for one in kinds if one), "text")
        try:
            found = open_inputs([source], kind, text_column=recipe.text_column)
        except DataError:
            found = []
        examples = tuple(one for one in found if isinstance(one, Example))
        if not examples:
            raise
        return Dataset(examples, kind, (), tuple(one for one in found if isinstance(one, Skipped)), (), source)


def write_embedding(embedding: Embedding, path: str | Path) -> None:
    """Write vectors with names, labels, splits and groups beside them, whole or not at all.

    A parquet file has one row an example, with the columns `name`, `label`, `split`, `group` and `vector`. A
    safetensors file has the array `vectors` [N, D], and the other columns as JSON lists in its metadata.

    Raises:
        UsageError: the name of the file ends in neither. MissingExtra: pyarrow is not installed.
    """
    path = Path(path)
    refuse_ending(path)
    write_durably(path, WRITERS[path.suffix.lower()](embedding))


def refuse_ending(path: Path) -> None:
    """Raise UsageError where `path` ends in neither format."""
    if path.suffix.lower() not in WRITERS:
        raise UsageError(
            f"`{path}` ends in `{path.suffix}`, which features cannot be written as", nearest(path.suffix, WRITERS)
        )


def _columns(embedding: Embedding) -> dict[str, list[Any]]:
    examples = embedding.examples
    return {
        "name": [example.name for example in examples],
        "label": _one_type([example.target for example in examples]),
        "split": [example.split for example in examples],
        "group": [example.group for example in examples],
    }


def _one_type(labels: list[Any]) -> list[Any]:
    """Return labels as texts where they are not all of one type, as a column has to be."""
    alike = len({type(label) for label in labels if label is not None}) <= 1
    return labels if alike else [None if label is None else str(label) for label in labels]


def _facts(embedding: Embedding) -> dict[str, str]:
    return {"backbone": embedding.backbone, "keep": str(embedding.keep)}


def _parquet(embedding: Embedding) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("pyarrow", "tables") from None
    width = embedding.vectors.shape[1]
    flat = pyarrow.array(embedding.vectors.astype(np.float32).ravel())
    vectors = pyarrow.FixedSizeListArray.from_arrays(flat, width)
    table = pyarrow.table({**_columns(embedding), "vector": vectors}).replace_schema_metadata(_facts(embedding))
    buffer = BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def _safetensors(embedding: Embedding) -> bytes:
    from safetensors.numpy import save

    columns = {name: json.dumps(values) for name, values in _columns(embedding).items()}
    vectors = np.ascontiguousarray(embedding.vectors.astype(np.float32))
    return save({"vectors": vectors}, metadata={**_facts(embedding), **columns})


WRITERS = {".parquet": _parquet, ".safetensors": _safetensors}
