"""Mistakes with all that is not data: commands and settings, backbones, models, and the machine."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mistakes.catalogue import MODEL, NETWORK, Arrange, made, mistake
from mistakes.with_data import nothing, photos, table
from samples import write_table

OPTIONS = "Commands, options and recipes"
BACKBONES = "Backbones and hubs"
MODELS = "Models"
MACHINE = "The machine"
FIT = f"fit reviews.csv --backbone {NETWORK}"

# Options

mistake(OPTIONS, "A command is misspelt", "fti reviews.csv")(table)
mistake(OPTIONS, "An option is misspelt", "fit reviews.csv --epoch 3")(table)
mistake(OPTIONS, "The data are forgotten", "fit")(nothing)
mistake(OPTIONS, "The inputs are forgotten", f"predict {MODEL}")(nothing)
mistake(OPTIONS, "An option has no value", "fit reviews.csv --epochs")(table)
mistake(OPTIONS, "A word is given for a number", "fit reviews.csv --seed x")(table)
mistake(OPTIONS, "The number of epochs is 0", "fit reviews.csv --epochs 0")(table)
mistake(OPTIONS, "The learning rate is negative", "fit reviews.csv --learning-rate -1")(table)
mistake(OPTIONS, "One fold is asked for", "fit reviews.csv --folds 1")(table)
mistake(OPTIONS, "More blocks are frozen than kept", f"{FIT} --keep 2 --freeze 3")(table)
mistake(OPTIONS, "More blocks are frozen than there are", f"{FIT} --freeze 99")(table)
mistake(OPTIONS, "A depth is a word", f"{FIT} --freeze most")(table)
mistake(OPTIONS, "The task is misspelt", "fit reviews.csv --task text-clasification")(table)
mistake(OPTIONS, "The task is for other data", "fit reviews.csv --task image-classification")(table)
mistake(OPTIONS, "The head is misspelt", f"{FIT} --head maen")(table)
mistake(OPTIONS, "The head reads other features", f"{FIT} --head average")(table)
mistake(OPTIONS, "The engine is misspelt", f"{FIT} --engine opnvino")(table)
mistake(OPTIONS, "The device is misspelt", "fit reviews.csv --device gpu")(table)
mistake(OPTIONS, "The recipe is not there", "fit reviews.csv --recipe quick.toml")(table)
mistake(OPTIONS, "The recipe was not given a name", "fit reviews.csv --recipe ''")(table)
mistake(OPTIONS, "Another file is given as the recipe", "fit reviews.csv --recipe reviews.csv")(table)
mistake(OPTIONS, "An asset is misspelt", "assets get photo")(nothing)
mistake(OPTIONS, "Features are to be written in another format", "embed reviews.csv --output features.csv")(table)


def recipe(text: str) -> Arrange:
    """Return what writes a recipe beside the data."""

    def arrange(here: Path, patch: pytest.MonkeyPatch) -> None:
        table(here, patch)
        (here / "quick.toml").write_text(text)

    return arrange


mistake(OPTIONS, "A second model to compare with is forgotten", f"compare {MODEL}")(nothing)
mistake(OPTIONS, "No time is given to a ranking", "rank reviews.csv --budget 0")(table)
mistake(OPTIONS, "A setting of a recipe is misspelt", "fit reviews.csv --recipe quick.toml")(recipe("epoch = 3"))
mistake(OPTIONS, "A number of a recipe is in quotes", "fit reviews.csv --recipe quick.toml")(recipe('epochs = "3"'))
mistake(OPTIONS, "A recipe has headings", "fit reviews.csv --recipe quick.toml")(recipe("[training]\nepochs = 3"))

# Backbones

mistake(BACKBONES, "The backbone is misspelt", "fit reviews.csv --backbone minilm-l7")(table)
mistake(BACKBONES, "A hub id lacks its organisation", "fit reviews.csv --backbone bert-base-uncased")(table)
mistake(BACKBONES, "A hub id is given without a network", "fit reviews.csv --backbone google/bert")(table)
mistake(BACKBONES, "The page of a hub is given", "fit reviews.csv --backbone https://hub.example/google/bert")(table)
mistake(BACKBONES, "The folder of the backbone is not there", "fit reviews.csv --backbone ./network2")(table)
mistake(BACKBONES, "Data are given as the backbone", "fit reviews.csv --backbone reviews.csv")(table)
mistake(BACKBONES, "A data set is given as the backbone", "fit reviews.csv --backbone sentiment")(table)


@mistake(BACKBONES, "The backbone reads other data", f"fit photos --backbone {NETWORK}")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    photos(here, patch)


@mistake(BACKBONES, "The backbone is of a kind that cannot be cut", "fit reviews.csv --backbone t5")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)
    (here / "t5").mkdir()
    (here / "t5" / "config.json").write_text('{"model_type": "t5"}')


@mistake(BACKBONES, "The weights of the backbone are missing", "fit reviews.csv --backbone copied")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    from networks import write_network

    table(here, patch)
    (write_network(here / "copied") / "model.safetensors").unlink()


# Models

mistake(MODELS, "Data and model are swapped", f"evaluate reviews.csv {MODEL}")(table)
mistake(MODELS, "A model is given as data", f"fit {MODEL}")(nothing)
mistake(MODELS, "A backbone is given as a model", f"predict {NETWORK} --text fine")(nothing)
mistake(MODELS, "The name of a backbone is given as a model", "predict minilm-l6 --text fine")(nothing)


@mistake(MODELS, "The folder of the model is misspelt", "predict my-reveiws --text fine")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "my-reviews").mkdir()


@mistake(MODELS, "The run was broken off", "predict my-reviews --text fine")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "my-reviews").mkdir()
    (here / "my-reviews" / "recipe.toml").write_text("")


def edited(before: str, after: str) -> Arrange:
    """Return what copies the model and changes a line of its settings."""

    def arrange(here: Path, patch: pytest.MonkeyPatch) -> None:
        shutil.copytree(made() / MODEL, here / "edited")
        path = here / "edited" / "headstart.toml"
        written = path.read_text()
        assert before in written
        path.write_text(written.replace(before, after))

    return arrange


mistake(MODELS, "A newer headstart wrote the model", "predict edited --text fine")(edited("format = 1", "format = 2"))
mistake(MODELS, "A depth was edited", "predict edited --text fine")(edited("freeze = 4", "freeze = 99"))
mistake(MODELS, "A class was renamed in one of two places", "predict edited --text fine")(edited("negative", "bad"))
mistake(MODELS, "An input is not there", f"predict {MODEL} new.csv")(nothing)
mistake(MODELS, "A text is empty", f"predict {MODEL} --text ''")(nothing)
mistake(MODELS, "A second text is given to a model that reads one", f"predict {MODEL} --text a --text-pair b")(nothing)
mistake(MODELS, "Pictures are given to a model of texts", f"predict {MODEL} photos")(photos)
mistake(MODELS, "The model to run again is misspelt", f"reproduce {MODEL}s")(nothing)
mistake(MODELS, "There is no report", f"report {NETWORK}")(nothing)
mistake(MODELS, "A model is pushed without a network", f"push {MODEL} me/reviews")(nothing)


@mistake(MODELS, "The model is judged on what it has learnt from", f"evaluate {MODEL} learnt.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    from headstart.data.dataset import open_dataset

    learnt = [e for e in open_dataset(made() / "learnt.csv").examples if e.split != "test"]
    write_table(here / "learnt.csv", [{"text": e.inputs["text"], "label": e.target} for e in learnt])


# The machine


@mistake(MACHINE, "A graphics card is asked for where there is none", "fit reviews.csv --device cuda")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)
    patch.setattr("torch.cuda.is_available", lambda: False)


@mistake(MACHINE, "The disk is full", f"{FIT} --output-dir new")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)
    patch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr("os.posix_fallocate", full)


@mistake(MACHINE, "The folder may not be written to", "fit reviews.csv --output-dir new")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)
    mkdir = Path.mkdir

    def refused(path: Path, *arguments: object, **options: object) -> None:
        if path.name == "new":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        mkdir(path, *arguments, **options)

    patch.setattr(Path, "mkdir", refused)


@mistake(MACHINE, "The cache folder is a file", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)
    patch.setenv("HEADSTART_CACHE", "reviews.csv")


@mistake(MACHINE, "The quota of the cache is no size", "cache")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HEADSTART_CACHE_QUOTA", "plenty")


@mistake(MACHINE, "An extra is not installed", "fit reviews.parquet")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "reviews.parquet").write_bytes(b"PAR1")
    patch.setitem(sys.modules, "pyarrow", None)


@mistake(MACHINE, "An engine is not installed", f"{FIT} --engine openvino")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)
    patch.setattr("headstart.engines.openvino.OpenVinoEngine.available", lambda engine: False)
