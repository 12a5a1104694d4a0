"""Every setting has a type and a range, whichever way it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.api import fit
from headstart.errors import DataError, UsageError
from headstart.training.recipe import Recipe, parse_depth
from samples import write_photos


def test_it_comes_back_from_toml(tmp_path: Path) -> None:
    recipe = Recipe(freeze=3, keep="all", learning_rate=1, folds=5)
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    assert Recipe.from_toml(tmp_path / "recipe.toml") == recipe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0), ("epochs", "3"), ("epochs", True), ("batch_size", 2.5), ("backbone", None), ("task", 5),
        ("learning_rate", float("inf")), ("learning_rate", -1.0), ("block_learning_rate", float("nan")),
        ("patience", -1), ("warmup", 5.0), ("warmup", 1.0), ("layer_decay", -1.0), ("weight_decay", -0.1),
        ("scratch_minutes", -1.0), ("dropout", 1.0), ("storage", "int8"), ("cache", "yes"), ("folds", 2), ("seed", -1),
    ],
)  # fmt: skip
def test_an_impossible_value_is_named(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"`{name}`") as error:
        Recipe().replace(**{name: value})
    assert error.value.hint


def test_a_misspelt_setting_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="frezze") as error:
        Recipe().replace(frezze=3)
    assert "`freeze`" in error.value.hint


@pytest.mark.parametrize("content", ["epochs = ", "epochs = 'x'", "epoch = 3", "[a]\nb = 1"])
def test_a_broken_file_is_wrong_usage(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.toml").write_text(content)
    with pytest.raises(UsageError):
        Recipe.from_toml(tmp_path / "r.toml")


def test_depths_are_numbers_or_words() -> None:
    assert [parse_depth(value) for value in ("3", "all", "auto", 4)] == [3, "all", "auto", 4]
    with pytest.raises(UsageError, match="`3.5`"):
        parse_depth("3.5")


def test_a_group_column_that_no_folder_has_is_refused(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    with pytest.raises(DataError, match="`speaker`"):
        fit(tmp_path / "photos", group_column="speaker", output_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()
