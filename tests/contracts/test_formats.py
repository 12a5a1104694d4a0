"""Every format of data, also those of other packages, keeps the promise of `Format`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from headstart.data.formats.contract import Columns, Format, Note
from headstart.errors import DataError
from headstart.registry import plugins
from headstart.types import KINDS, Example, Skipped

FORMATS = plugins("data.formats")


@pytest.fixture(params=sorted(FORMATS))
def format(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


@pytest.fixture
def sample(format: Format, tmp_path: Path) -> Path:
    return format.sample(tmp_path)


def test_a_format_says_what_it_is(format: Format):
    assert isinstance(format, Format)
    assert format.name
    assert set(format.kinds) <= set(KINDS)


def test_a_format_recognises_its_own_sample_and_no_other(format: Format, tmp_path: Path):
    for name, other in FORMATS.items():
        (tmp_path / name).mkdir()
        assert format.recognises(other.sample(tmp_path / name)) == (name == format.name)


def test_reading_yields_examples_with_unique_names(format: Format, sample: Path):
    examples = [item for item in format.read(sample, Columns()) if isinstance(item, Example)]
    assert len(examples) >= 12
    assert len({example.name for example in examples}) == len(examples)
    for example in examples:
        assert set(example.inputs) & set(format.kinds)
        assert isinstance(example.target, str | list)
        assert not Path(example.name).is_absolute()


def test_reading_twice_yields_the_same(format: Format, sample: Path):
    assert list(format.read(sample, Columns())) == list(format.read(sample, Columns()))


def test_names_do_not_depend_on_where_the_data_lie(format: Format, sample: Path, tmp_path: Path):
    before = [item.name for item in format.read(sample, Columns()) if isinstance(item, Example)]
    moved = sample.rename(tmp_path / f"moved{sample.suffix}")
    assert [item.name for item in format.read(moved, Columns()) if isinstance(item, Example)] == before


def test_what_is_empty_or_missing_is_survived(format: Format, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    for name in ("empty.csv", "empty.jsonl", "empty.png", "empty.parquet", "empty.xlsx", "empty"):
        (tmp_path / name).write_bytes(b"")
    for path in [*tmp_path.iterdir(), tmp_path / "missing", tmp_path / "missing.csv"]:
        if not format.recognises(path):
            continue
        with suppress(DataError):
            items = list(format.read(path, Columns()))
            assert all(isinstance(item, Example | Skipped | Note) for item in items)
