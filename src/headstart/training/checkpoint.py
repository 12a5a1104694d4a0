"""What a training has reached, kept in the run's folder, so that a run that was killed goes on from there.

A checkpoint is a safetensors file with weights, the optimizer's state and, as JSON in its metadata, everything else,
with a checksum over both. It is written as a whole and verified when it is read: one that is damaged, or belongs to
other data, other weights or other settings, is not used.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from headstart.cut import hash_tensors
from headstart.durable import remove_unfinished, write_durably
from headstart.errors import MachineError
from headstart.events import Listener, Note, ignore

SECONDS_BETWEEN = 30.0
"""A kill loses no more of a training than this, and the time of one step."""

Parts = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds: tensors by part and name, and facts that JSON can hold."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, part: str) -> dict[str, Tensor]:
        """Return the tensors of one part by name."""
        start = f"{part}/"
        return {name.removeprefix(start): one for name, one in self.tensors.items() if name.startswith(start)}


class Checkpoints:
    """All checkpoints of a run, one file for each place that `at` names; without a folder nothing is kept.

    Attributes:
        resumed: the place, and the facts, of the checkpoint that was read last; None where none was.
        seconds: of training that the checkpoints have spared this run.
    """

    def __init__(self, folder: Path | None = None, listener: Listener = ignore) -> None:
        self.resumed: tuple[str, dict[str, Any]] | None = None
        self.seconds = 0.0
        self._folder, self._listener = folder, listener
        self._written = time.monotonic()
        self._full = False
        if folder and folder.exists():
            remove_unfinished(folder)

    def at(self, *place: str) -> Checkpoint:
        """Return the checkpoint of a place such as `fold 2`, `seed 0`."""
        return Checkpoint(self, place)

    def _read(self, place: str, of: str) -> Saved | None:
        path = self._path(place)
        if path is None or not path.exists():
            return None
        saved = _verified(path)
        if saved is None or saved.facts["of"] != of:
            why = "is damaged" if saved is None else "is of other data, weights or settings"
            self._listener(Note(f"the checkpoint `{path.name}` {why}, so that this part is trained anew"))
            return None
        self.resumed = place, saved.facts
        self.seconds += saved.facts["seconds"]
        return saved

    def _write(self, place: str, of: str, parts: Parts, facts: Mapping[str, Any]) -> None:
        path = self._path(place)
        if path is None or self._full:
            return
        try:
            path.parent.mkdir(exist_ok=True)
            write_durably(path, _serialised(parts, {**facts, "of": of}))
        except MachineError as error:
            # The model is a fourth of this: whether that can be saved will be seen then.
            self._full = True
            self._listener(Note(f"the training goes on without checkpoints: {error.message}"))
        self._written = time.monotonic()

    def _due(self) -> bool:
        return self._folder is not None and time.monotonic() - self._written >= SECONDS_BETWEEN

    def _clear(self, place: str) -> None:
        for path in self._folder.glob(f"{place}, *") if self._folder else ():
            path.unlink(missing_ok=True)

    def _path(self, place: str) -> Path | None:
        return self._folder and self._folder / f"{place}.safetensors"


class Checkpoint:
    """The checkpoint of one place."""

    def __init__(self, checkpoints: Checkpoints, place: tuple[str, ...], of: str = "") -> None:
        self._all, self._place, self._of = checkpoints, place, of

    def at(self, *place: str) -> Checkpoint:
        """Return the checkpoint of a place inside this one."""
        return Checkpoint(self._all, (*self._place, *place), self._of)

    def of(self, digest: str) -> Checkpoint:
        """Return the checkpoint that only counts for inputs that have this digest as well."""
        return Checkpoint(self._all, self._place, f"{self._of} {digest}")

    def read(self) -> Saved | None:
        """Return what was written last; None where nothing was, or where it cannot be used, which is said."""
        return self._all._read(self._name, self._of)

    def write(self, parts: Parts, facts: Mapping[str, Any]) -> None:
        """Replace what is there, and remove what lies inside this place.

        Args:
            facts: `seconds` of training, and what else JSON can hold.
        """
        self._all._write(self._name, self._of, parts, facts)
        self._all._clear(self._name)

    def due(self) -> bool:
        """Say whether so much time has passed since the last one that another is worth its cost."""
        return self._all._due()

    @property
    def _name(self) -> str:
        return ", ".join(self._place)


def _serialised(parts: Parts, facts: Mapping[str, Any]) -> bytes:
    from safetensors.torch import save

    # Owned, since safetensors refuses tensors that share memory.
    owned = {f"{part}/{name}": one.cpu().clone() for part, tensors in parts.items() for name, one in tensors.items()}
    text = json.dumps(facts)
    return save(owned, metadata={"facts": text, "checksum": hash_tensors(text, owned)})


def _verified(path: Path) -> Saved | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        whole = hash_tensors(metadata["facts"], tensors) == metadata["checksum"]
        return Saved(tensors, json.loads(metadata["facts"])) if whole else None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
