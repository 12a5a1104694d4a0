"""Small runs of `fit` that take a fraction of a second, each with another part of what a run can do."""

from __future__ import annotations

import hashlib
import random
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from tqdm.std import tqdm

import headstart.verify
from headstart import api
from headstart import model as model_module
from headstart.features import extract as extract_module
from headstart.reporting import report
from headstart.training import checkpoint
from networks import FAMILIES, write_examples, write_network
from samples import write_photos

# All forks of a process share tqdm's own lock, a semaphore: a child that is killed while it draws a bar would stop all
# later ones.
tqdm.set_lock(threading.RLock())

# What is written anew with every run: times and, in the report and the card, scores of other times.
TIMED = {"headstart.json", "report.html", "README.md", "looks.json"}
USUAL = {"freeze": 2, "epochs": 2, "batch_size": 5, "dropout": 0.2, "baselines": False, "block_learning_rate": 1e-3}


@dataclass(frozen=True)
class Case:
    """A run: the family of its network, and what differs from the usual settings."""

    family: str = "bert"
    settings: dict[str, Any] = field(default_factory=dict)


CASES = {
    "thawed, two seeds": Case(settings={"seeds": 2}),
    "head alone": Case(settings={"freeze": "all"}),
    "folds": Case(settings={"folds": 3, "epochs": 1, "batch_size": 9}),
    "views": Case("vit", {"views": 2}),
}


def prepare(folder: Path, case: Case) -> None:
    """Write the network and the data of a case, and run it once: what is imported now, forked children need not."""
    write_network(folder / "network", case.family)
    if case.family == "bert":
        write_examples(folder / "data", FAMILIES[case.family].kind)
    else:
        write_photos(folder / "data" / "photos", per_class=8)
    fit(folder, case)
    start_anew(folder)


def start_anew(folder: Path) -> None:
    """Remove what a run has written."""
    for name in ("run", "cache"):
        shutil.rmtree(folder / name, ignore_errors=True)


def fit(folder: Path, case: Case, **options: Any) -> None:
    """Run a case, or go on with it, in this process, with a write as often as there can be one."""
    torch.set_num_threads(1)
    torch.manual_seed(random.SystemRandom().randrange(2**31))  # what was drawn before must not matter
    settings = {"backbone": str(folder / "network"), **USUAL, **case.settings, **options}
    (source,) = (folder / "data").iterdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(folder / "cache"))
        patch.setattr(extract_module, "_SHARD_SECONDS", 0.0)
        patch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)
        patch.setattr(model_module, "_verify", _verified_here)
        patch.setattr(report, "render", lambda record: f"<title>{record.task}</title>")
        api.fit(source, output_dir=folder / "run", resume=True, **settings)


def _verified_here(folder: Path, sample: Any, expected: Any) -> None:
    """Let a saved folder be loaded and computed, without the seconds that a fresh process takes to start."""
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in sample.items()}, folder.parent / "inputs")
    headstart.verify.main(str(folder), str(folder.parent / "inputs"), str(folder.parent / "logits"))


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of what a run gives, by file; nothing that is unfinished may lie there."""
    assert all(path.is_file() and not path.name.startswith(".") for path in folder.iterdir())
    names = {path.name for path in folder.iterdir()}
    assert names >= TIMED | {"model.safetensors", "config.json", "headstart.toml", "recipe.toml"}
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(names - TIMED)}


def loads(folder: Path) -> bool:
    """Say whether a folder loads as a model, with headstart or with transformers; then it must be complete."""
    ours, theirs = (folder / "headstart.toml").exists(), (folder / "config.json").exists()
    if ours:
        assert all((folder / name).exists() for name in (*TIMED, "model.safetensors", "config.json"))
    if theirs:
        assert (folder / "model.safetensors").exists()
    return ours
