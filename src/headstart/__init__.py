"""Adapt a pre-trained model to your photos, texts or recordings, without ever computing a frozen block twice.

    model = headstart.fit("photos/")
    model.predict(["new.jpg"])

The public names are imported on first use (PEP 562), so that `import headstart` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.api import check, compare, evaluate, fit, load, rank, trace
    from headstart.backbones import open_backbone
    from headstart.errors import DataError, HeadstartError, MachineError, ModelError, UsageError
    from headstart.estimator import Estimator
    from headstart.model import Model
    from headstart.reproduction import reproduce
    from headstart.training.recipe import Recipe

__version__ = "0.1.0"

_HOMES = {
    "fit": "api",
    "load": "api",
    "check": "api",
    "compare": "api",
    "reproduce": "reproduction",
    "evaluate": "api",
    "rank": "api",
    "trace": "api",
    "open_backbone": "backbones",
    "Estimator": "estimator",
    "Model": "model",
    "Recipe": "training.recipe",
    "HeadstartError": "errors",
    "UsageError": "errors",
    "DataError": "errors",
    "ModelError": "errors",
    "MachineError": "errors",
}

__all__ = [
    "DataError",
    "Estimator",
    "HeadstartError",
    "MachineError",
    "Model",
    "ModelError",
    "Recipe",
    "UsageError",
    "__version__",
    "check",
    "compare",
    "evaluate",
    "fit",
    "load",
    "open_backbone",
    "rank",
    "reproduce",
    "trace",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module `headstart` has no attribute `{name}`") from None
    return getattr(importlib.import_module(f"headstart.{home}"), name)


def __dir__() -> list[str]:
    return __all__
