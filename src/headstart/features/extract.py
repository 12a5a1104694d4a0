"""The one pass of the frozen part: what is in the cache is found, the rest is computed, stored and kept."""

from __future__ import annotations

import copy
import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.contract import Backbone
from headstart.cut import Features, FrozenPart
from headstart.data.dataset import content_hash
from headstart.engines.contract import Engine, Runner
from headstart.errors import HeadstartError, MachineError, ModelError, UnreadableFile
from headstart.events import Forecast, Listener, Note, Progress, ignore
from headstart.features.cache import Entry, FeatureCache
from headstart.features.shard import Row, Shard
from headstart.journal import Decide, anew
from headstart.preprocess.views import Varied
from headstart.types import Example, Skipped, Spec

BATCH = 16
_SHARD_BYTES = 64 << 20
_SHARD_SECONDS = 10.0  # a kill loses no more than this
_ROUNDS = 3  # of computing everything, as damage may ask for; then something is wrong
_FREE_SHARE = 0.8  # of the free disk that a cache may fill
_LIBRARIES = {"transformers": "transformers", "pillow": "PIL", "soundfile": "soundfile", "soxr": "soxr"}


@dataclass(frozen=True)
class FeatureSet:
    """Features of examples in a fixed order; a batch of them is padded to its longest.

    Attributes:
        examples: those whose input could be read. skipped: the others.
        specs: shapes by name. hits, computed: rows found and computed. bytes: size on disk.
        seconds: time of this pass. pass_seconds: what computing all rows takes, found ones included.
        stored: False where rows are computed anew for every batch.
        views: other views of the training examples, in their order, one set a view.
    """

    examples: tuple[Example, ...]
    skipped: tuple[Skipped, ...]
    specs: Mapping[str, Spec]
    source: Any = field(repr=False)
    hits: int = 0
    computed: int = 0
    bytes: int = 0
    seconds: float = 0.0
    pass_seconds: float = 0.0
    views: tuple[FeatureSet, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def stored(self) -> bool:
        return isinstance(self.source, _Stored)

    def batch(self, indices: Sequence[int] | np.ndarray) -> Features:
        """Return the features of these examples by name, batch first, floats as float32."""
        return self.source.batch(indices)


def extract(
    examples: Sequence[Example],
    *,
    backbone: Backbone,
    frozen: FrozenPart,
    engine: Engine,
    cache: FeatureCache,
    storage: str = "float16",
    hashes: Mapping[str, str] | None = None,
    views: int = 1,
    listener: Listener = ignore,
    decide: Decide = anew,
) -> FeatureSet:
    """Return what crosses the cut for every example, computing each frozen pass at most once.

    Args:
        storage: `float16` or `float32`, for the floats on disk.
        hashes: content hashes by example name, as far as they are known already.
        views: of each training example, itself included; each further one is a pass over those.
        decide: journals whether the features are stored, which the free disk decides.

    Raises:
        NoSpace: the disk filled up; what was stored stays.
    """
    started = time.perf_counter()
    hashes, skipped = _hash_all(examples, hashes or {})
    entry = cache.entry(_facts(backbone, frozen, engine, storage), _ragged(frozen.specs, frozen.writes))
    first_of = {hashes[example.name]: example for example in reversed(examples) if example.name in hashes}
    fill = _Fill(backbone, frozen, engine, entry, hashes, storage, listener, decide)
    fits = fill.complete(first_of)
    # Equal files are decoded once, and each of them is named.
    causes = {e.name: fill.unreadable[hashes[e.name]] for e in examples if hashes.get(e.name) in fill.unreadable}
    skipped += [Skipped(name, cause) for name, cause in causes.items()]
    bad = {skip.name for skip in skipped}
    readable = tuple(e for e in examples if e.name not in bad)
    source = (
        _Stored(entry.rows([hashes[e.name] for e in readable]), frozen)
        if fits
        else _Live(readable, backbone, fill.runner, frozen)
    )
    hits = len(first_of) - len(fill.unreadable) - fill.computed if fits else 0
    found = FeatureSet(
        examples=readable, skipped=tuple(skipped), specs=frozen.specs, source=source, hits=hits,
        computed=fill.computed, bytes=entry.bytes(),
        seconds=time.perf_counter() - started, pass_seconds=entry.seconds_of(hashes[e.name] for e in readable),
    )  # fmt: skip
    train = [example for example in readable if example.split == "train"]
    if views > 1:
        listener(Note(f"each training example is seen in {views} views"))
    others = [
        extract(
            train, backbone=_varied(backbone, view), frozen=frozen, engine=engine, cache=cache, storage=storage,
            hashes=hashes, listener=listener, decide=decide,
        )
        for view in range(1, views)
    ]  # fmt: skip
    return _with_views(found, others)


def _with_views(found: FeatureSet, views: Sequence[FeatureSet]) -> FeatureSet:
    """Return features that know their views, and count what those took."""
    whole = (found, *views)
    return replace(
        found, views=tuple(views), hits=sum(one.hits for one in whole), computed=sum(one.computed for one in whole),
        bytes=sum(one.bytes for one in whole), seconds=sum(one.seconds for one in whole),
        pass_seconds=sum(one.pass_seconds for one in whole),
    )  # fmt: skip


def _varied(backbone: Backbone, view: int) -> Backbone:
    """Return the backbone with the preprocessing of a view: that is a part of the cache key, so each is an entry."""
    varied = copy.copy(backbone)
    varied.preprocess = Varied(backbone.preprocess, view)
    return varied


def live(examples: Sequence[Example], *, backbone: Backbone, frozen: FrozenPart) -> FeatureSet:
    """Return features that are computed for every batch anew: the ordinary way, without a cache."""
    return FeatureSet(
        examples=tuple(examples), skipped=(), specs=frozen.specs,
        source=_Live(tuple(examples), backbone, frozen, frozen),
    )  # fmt: skip


def inputs_of(backbone: Backbone, decoded: Sequence[Any]) -> Features:
    """Return a batch of inputs as tensors."""
    return {name: torch.from_numpy(array) for name, array in backbone.preprocess.batch(decoded).items()}


def _facts(backbone: Backbone, frozen: FrozenPart, engine: Engine, storage: str) -> dict[str, Any]:
    return {
        "settings": backbone.fingerprint(), "weights": frozen.fingerprint(), "depth": len(frozen.blocks),
        "names": list(frozen.writes), "preprocess": backbone.preprocess.fingerprint,
        "engine": engine.numerics, "device": frozen.device.type, "storage": storage, "libraries": _libraries(),
    }  # fmt: skip


def _libraries() -> dict[str, str]:
    """Return the versions of what decodes inputs and of what the blocks are made of: another may give other bits."""
    return {name: version(name) for name in _LIBRARIES if find_spec(_LIBRARIES[name])}


def _ragged(specs: Mapping[str, Spec], names: Sequence[str]) -> list[str]:
    return [name for name in names if specs[name].ragged]


def _hash_all(examples: Sequence[Example], known: Mapping[str, str]) -> tuple[dict[str, str], list[Skipped]]:
    hashes, skipped = {}, []
    for example in examples:
        try:
            hashes[example.name] = known.get(example.name) or content_hash(example)
        except UnreadableFile as error:
            skipped.append(Skipped(example.name, error.cause))
    return hashes, skipped


class _Fill:
    """Computes missing rows batch by batch and stores them shard by shard."""

    def __init__(
        self, backbone, frozen, engine, entry: Entry, hashes, storage: str, listener: Listener, decide
    ) -> None:
        self.backbone, self.frozen, self.engine, self.entry = backbone, frozen, engine, entry
        self.hashes, self.dtype, self.listener, self.decide = hashes, np.dtype(storage), listener, decide
        self.ragged = _ragged(frozen.specs, frozen.writes)
        self.mask = next((name for name in frozen.writes if frozen.specs[name].kind == "mask"), None)
        self.runner: Runner = frozen
        self.unreadable: dict[str, str] = {}  # the cause by content hash
        self.computed = 0
        self._pending: list[tuple[str, Row]] = []
        self._pending_bytes, self._flushed = 0, time.perf_counter()

    def complete(self, first_of: Mapping[str, Example]) -> bool:
        """Store what the entry lacks of the examples, by content hash; leave to other runs what they compute already.

        Return False, having stored nothing, where it does not fit on the disk.
        """
        while wanted := self.entry.missing(first_of) - self.unreadable.keys():
            with self.entry.claimed(wanted) as mine:
                todo = [first_of[one] for one in self.entry.missing(mine)]  # since then others may have stored some
                if not self._run(sorted(todo, key=lambda e: (-self.backbone.preprocess.size(e), e.name))):
                    return False
            if self.computed > _ROUNDS * len(first_of):
                raise MachineError(f"the cache `{self.entry.folder}` loses what is stored in it", "remove it")
            theirs = wanted - mine
            if theirs:
                self.listener(Note(f"another run is computing {len(theirs):,} of the same features; waiting for it"))
                self.entry.wait(theirs)
        return True

    def _run(self, todo: Sequence[Example]) -> bool:
        """Store the features of `todo`; return False, having stored none, where they do not fit on the disk.

        Then the rest is decoded nevertheless: what cannot be read must be known before the training starts.
        """
        batches, before = self._batches(todo), self.computed
        for number, (names, decoded) in enumerate(batches):
            inputs = inputs_of(self.backbone, decoded)
            if number == 0:
                self.runner = self.engine.prepare(self.frozen, inputs)
            started = time.perf_counter()
            rows = self._rows(self._first_run(inputs) if number == 0 else self.runner(inputs))
            if number == 0 and not self._forecast(rows, time.perf_counter() - started, len(todo)):
                deque(batches, maxlen=0)
                return False
            self._keep(names, rows)
            self.listener(Progress("frozen pass", self.computed - before + len(self.unreadable), len(todo)))
        self._flush()
        return True

    def _first_run(self, inputs: Features) -> Features:
        """Run the first batch; whatever the network cannot read, it cannot read here."""
        try:
            return self.runner(inputs)
        except HeadstartError:
            raise
        except Exception as error:  # libraries raise what they like on shapes and ids that do not fit
            raise ModelError(
                f"the network of `{self.backbone.name}` cannot run on what its preprocessing gives: {error}",
                "the tokenizer or preprocessor files do not belong to its config.json; obtain the folder again",
            ) from error

    def _batches(self, todo: Sequence[Example]) -> Iterator[tuple[list[str], list[Any]]]:
        """Decode ahead in threads while the network computes, and leave unreadable inputs out.

        All batches but the last are full, and shards hold whole ones: a pass that goes on after a kill has the same
        batches as one without a break, and therefore the same bits.
        """
        with ThreadPoolExecutor(2, thread_name_prefix="decode") as pool:
            examples = iter(todo)
            ahead = deque((e, pool.submit(self._decode, e)) for e in islice(examples, 3 * BATCH))
            names, inputs = [], []  # type: list[str], list[Any]
            while ahead:
                example, future = ahead.popleft()
                ahead += [(e, pool.submit(self._decode, e)) for e in islice(examples, 1)]
                if (decoded := future.result()) is not None:
                    names.append(self.hashes[example.name])
                    inputs.append(decoded)
                if len(names) == BATCH or (names and not ahead):
                    yield names, inputs
                    names, inputs = [], []

    def _decode(self, example: Example) -> Any:
        try:
            return self.backbone.preprocess.decode(example)
        except UnreadableFile as error:
            self.unreadable[self.hashes[example.name]] = error.cause
            return None

    def _forecast(self, rows: list[Row], seconds: float, total: int) -> bool:
        """Say what the pass will cost, from its first batch, and whether the result fits on the disk."""
        size = sum(array.nbytes for row in rows for array in row.values()) * total // len(rows)
        within = self.entry.make_room(size, self.listener)
        free = shutil.disk_usage(self.entry.folder).free
        fits = self.decide(
            f"features {self.entry.folder.name} are stored", lambda: within and size <= _FREE_SHARE * free
        )
        obstacle = "the disk cannot hold the features" if within else "the features exceed the quota of the cache"
        reason = "" if fits else f"{obstacle}, so the frozen part runs in every epoch"
        self.listener(Forecast(total, seconds / len(rows) * total, size, free, cached=fits, reason=reason))
        return fits

    def _rows(self, crossing: Features) -> list[Row]:
        arrays = {name: self._stored_form(name, tensor) for name, tensor in crossing.items()}
        count = len(next(iter(arrays.values())))
        # A mask that a block has written counts the steps of its features, no longer those of the inputs.
        lengths = crossing[self.mask].sum(1).tolist() if self.mask else [None] * count
        return [
            {name: array[i, : lengths[i]] if name in self.ragged else array[i] for name, array in arrays.items()}
            for i in range(count)
        ]

    def _stored_form(self, name: str, tensor: Tensor) -> np.ndarray:
        array = tensor.numpy()
        if self.frozen.specs[name].kind == "mask":
            return array.astype(np.uint8)
        if array.dtype.kind != "f":
            return array.astype(np.int32)
        with np.errstate(over="ignore"):
            stored = array.astype(self.dtype)
        # A residual stream may exceed what float16 holds; such rows stay as they are.
        return stored if np.isfinite(stored).all() else array

    def _keep(self, names: list[str], rows: list[Row]) -> None:
        self._pending += zip(names, rows, strict=True)
        self._pending_bytes += sum(array.nbytes for row in rows for array in row.values())
        self.computed += len(names)
        if self._pending_bytes >= _SHARD_BYTES or time.perf_counter() - self._flushed >= _SHARD_SECONDS:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            names, rows = zip(*self._pending, strict=True)
            self.entry.append(names, rows, seconds=time.perf_counter() - self._flushed)
        self._pending, self._pending_bytes, self._flushed = [], 0, time.perf_counter()


class _Stored:
    """Rows in mapped shards."""

    def __init__(self, rows: Sequence[tuple[Shard, int]], frozen: FrozenPart) -> None:
        self._places = rows
        self._specs = frozen.specs

    def batch(self, indices: Sequence[int] | np.ndarray) -> Features:
        rows = [shard.row(position) for shard, position in (self._places[i] for i in indices)]
        return {name: self._collate(name, [row[name] for row in rows]) for name in rows[0]}

    def _collate(self, name: str, arrays: Sequence[np.ndarray]) -> Tensor:
        dtype = np.float32 if arrays[0].dtype.kind == "f" else np.int64
        if not self._specs[name].ragged:
            return torch.from_numpy(np.stack(arrays).astype(dtype))
        padded = np.zeros((len(arrays), max(map(len, arrays)), *arrays[0].shape[1:]), dtype)
        for target, array in zip(padded, arrays, strict=True):
            target[: len(array)] = array
        return torch.from_numpy(padded)


class _Live:
    """Examples that are decoded and run through the frozen part whenever they are asked for."""

    def __init__(self, examples: Sequence[Example], backbone: Backbone, runner: Runner, frozen: FrozenPart) -> None:
        self._examples, self._backbone, self._runner = examples, backbone, runner

    def batch(self, indices: Sequence[int] | np.ndarray) -> Features:
        decoded = [self._backbone.preprocess.decode(self._examples[i]) for i in indices]
        return self._runner(inputs_of(self._backbone, decoded))
