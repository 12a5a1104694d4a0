"""Everything that decides a run, and nothing else; written to TOML beside the model and read back from it."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import tomli_w

from headstart.errors import UsageError, nearest

Depth = int | str  # a number, `all` or `auto`


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of one run; `auto` and 0 mean: the measured default.

    Attributes:
        task: such as `image-classification`. backbone: catalogue name, folder, or hub id.
        keep: blocks kept; the head reads after the last of them. freeze: blocks frozen, counted from the input.
        head: such as `mean`; see the folder `heads`.
        epochs: most epochs for thawed blocks. patience: epochs without a better validation loss before stopping.
        learning_rate: of the head while blocks are thawed. block_learning_rate: of the uppermost thawed block.
        layer_decay: factor on the learning rate for each block further down. weight_decay: of AdamW.
        warmup: share of all steps over which the learning rates rise. batch_size: examples a step.
        dropout: before the head's linear layer. balance: weigh classes by their inverse frequency.
        seeds: how many times the thawed part is trained from the cache; the best on validation is kept.
        engine: what runs the frozen part. device: where networks run.
        storage: `float16` or `float32` features. cache: keep features on disk.
        baselines: measure what the adapted model is compared with.
        scratch_minutes: most minutes that the converged from-scratch control may take; 0 leaves it out.
        seed: decides splits, order and dropout.
        views: of each training picture or recording, itself included: mirrored, cropped, masked; 0 is the measured
            rule: four for pictures with fewer than five examples a class, else one.
        answered_accuracy: share of right answers that the certainty of a prediction must promise, or it counts as
            unsure; chosen on validation. 0 leaves half as many wrong answers as there are in all.
        folds: judge by so many folds instead of one test split; 0 leaves it at the split.
        text_column, text_pair_column, label_column, group_column: where a table has what; several columns of labels
            have commas between them.
    """

    task: str = "auto"
    backbone: str = "auto"
    keep: Depth = "auto"
    freeze: Depth = "auto"
    head: str = "auto"
    epochs: int = 10
    patience: int = 3
    learning_rate: float = 1e-3
    block_learning_rate: float = 5e-5
    layer_decay: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.1
    batch_size: int = 16
    dropout: float = 0.1
    balance: bool = True
    seeds: int = 1
    engine: str = "auto"
    device: str = "auto"
    storage: str = "float16"
    cache: bool = True
    baselines: bool = True
    scratch_minutes: float = 2.0
    seed: int = 0
    views: int = 0
    answered_accuracy: float = 0.0
    folds: int = 0
    text_column: str = "text"
    text_pair_column: str = "text_pair"
    label_column: str = "label"
    group_column: str = "group"

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for name, kind in hints.items():
            _check_type(name, getattr(self, name), get_args(kind) or (kind,))
        for name, (valid, way_out) in _LIMITS.items():
            value = getattr(self, name)
            if not valid(value):
                raise UsageError(f"the setting `{name}` is `{value}`", f"choose {way_out}")

    def replace(self, **changes: Any) -> Recipe:
        """Return a recipe with some settings changed.

        Raises:
            UsageError: a setting has an unknown name or an impossible value.
        """
        return self.from_dict({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def to_toml(self) -> str:
        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Recipe:
        """Return the recipe with these settings.

        Raises:
            UsageError: a setting has an unknown name or a value of the wrong type.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name, value in settings.items():
            if isinstance(value, dict):
                raise UsageError(f"a recipe has no table `[{name}]`", "write the settings without a heading")
            if name not in names:
                raise UsageError(f"a recipe has no setting `{name}`", nearest(name, names))
        return cls(**settings)

    @classmethod
    def from_toml(cls, path: Path) -> Recipe:
        """Read a recipe file.

        Raises:
            UsageError: the file is missing, is not TOML, or has a wrong setting.
        """
        try:
            return cls.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise UsageError(f"the recipe `{path}` cannot be read: {error.strerror}", "check the path") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"the recipe `{path}` is not TOML: {error}", "write lines such as `epochs = 5`") from error


def parse_depth(value: str | int) -> Depth:
    """Return `keep` or `freeze` from the command line: a number, `all` or `auto`."""
    if isinstance(value, int) or value in ("all", "auto"):
        return value
    try:
        return int(value)
    except ValueError:
        raise UsageError(f"`{value}` is not a depth", "give a number, `all` or `auto`") from None


def _check_type(name: str, value: Any, allowed: tuple[type, ...]) -> None:
    """Accept a whole number for a fraction, but neither a truth value for a number nor what is not finite."""
    fits = isinstance(value, allowed) or (float in allowed and isinstance(value, int))
    if not fits or (isinstance(value, bool) and bool not in allowed):
        wanted = " or ".join(_NOUNS[kind] for kind in allowed)
        raise UsageError(f"the setting `{name}` is `{value!r}`", f"it must be {wanted}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"the setting `{name}` is `{value}`", "choose a finite number")


def _is_depth(value: Depth) -> bool:
    return isinstance(value, int) or value in ("all", "auto")


_NOUNS = {int: "a whole number", float: "a number", str: "a text in quotes", bool: "true or false"}
_AT_LEAST_ONE = (lambda value: value >= 1, "1 or more")
_POSITIVE = (lambda value: value > 0, "a number above 0")
_NOT_NEGATIVE = (lambda value: value >= 0, "0 or more")
_LIMITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": _AT_LEAST_ONE,
    "batch_size": _AT_LEAST_ONE,
    "seeds": _AT_LEAST_ONE,
    "patience": _AT_LEAST_ONE,
    "learning_rate": _POSITIVE,
    "block_learning_rate": _POSITIVE,
    "layer_decay": (lambda value: 0 < value <= 1, "a factor above 0, at most 1"),
    "weight_decay": _NOT_NEGATIVE,
    "warmup": (lambda value: 0 <= value < 1, "a share from 0 to below 1"),
    "dropout": (lambda value: 0 <= value < 1, "a share from 0 to below 1"),
    "scratch_minutes": _NOT_NEGATIVE,
    "seed": _NOT_NEGATIVE,
    "views": _NOT_NEGATIVE,
    "answered_accuracy": (lambda value: 0 <= value < 1, "a share from 0 to below 1"),
    "folds": (lambda value: value == 0 or value >= 3, "3 or more, or 0 for none"),
    "storage": (lambda value: value in ("float16", "float32"), "float16 or float32"),
    "keep": (_is_depth, "a number, `all` or `auto`"),
    "freeze": (_is_depth, "a number, `all` or `auto`"),
}
