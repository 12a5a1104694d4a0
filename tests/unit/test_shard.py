"""One file of cached rows: exact, checked before it is read, readable by any tool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.features.shard import Row, Shard, write_shard

RAGGED = ("hidden_states", "attention_mask")


def ragged_rows(dtype: type = np.float16) -> list[Row]:
    random = np.random.default_rng(0)
    return [
        {"attention_mask": np.ones(steps, np.uint8), "hidden_states": random.normal(size=(steps, 4)).astype(dtype)}
        for steps in (3, 1, 5)
    ]


def fixed_rows(dtype: type) -> list[Row]:
    random = np.random.default_rng(0)
    return [{"maps": (9 * random.normal(size=(2, 3, 3))).astype(dtype)} for _ in range(4)]


def names(rows: list[Row]) -> list[str]:
    return [f"example{number}" for number in range(len(rows))]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_ragged_rows_come_back_bit_for_bit(tmp_path: Path, dtype: type) -> None:
    rows = ragged_rows(dtype)
    shard = Shard(*write_shard(tmp_path, rows, RAGGED, names(rows)), RAGGED)
    for number, row in enumerate(rows):
        for name, array in row.items():
            np.testing.assert_array_equal(shard.row(number)[name], array, strict=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.int32, np.uint8, np.bool_])
def test_fixed_rows_come_back_bit_for_bit(tmp_path: Path, dtype: type) -> None:
    rows = fixed_rows(dtype)
    shard = Shard(*write_shard(tmp_path, rows, (), names(rows)), ())
    for number, row in enumerate(rows):
        np.testing.assert_array_equal(shard.row(number)["maps"], row["maps"], strict=True)


@pytest.mark.parametrize("ragged", [(), ("x",)])
def test_transposed_rows_come_back_as_they_are(tmp_path: Path, ragged: tuple[str, ...]) -> None:
    rows = [{"x": array} for array in np.arange(24.0).reshape(2, 3, 4).transpose(0, 2, 1)]
    rows = [{"x": row["x"].astype(np.float32)} for row in rows]
    shard = Shard(*write_shard(tmp_path, rows, ragged, names(rows)), ragged)
    for number, row in enumerate(rows):
        np.testing.assert_array_equal(shard.row(number)["x"], row["x"])


def test_a_row_that_float16_cannot_hold_keeps_its_shard_in_float32(tmp_path: Path) -> None:
    rows = [{"x": np.array([1.5], np.float16)}, {"x": np.array([1e6], np.float32)}]
    shard = Shard(*write_shard(tmp_path, rows, (), names(rows)), ())
    assert [shard.row(number)["x"].item() for number in range(2)] == [1.5, 1e6]


def test_a_ragged_name_that_no_row_has_is_no_matter(tmp_path: Path) -> None:
    rows, ragged = ragged_rows(), ("absent", *RAGGED)
    shard = Shard(*write_shard(tmp_path, rows, ragged, names(rows)), ragged)
    np.testing.assert_array_equal(shard.row(2)["hidden_states"], rows[2]["hidden_states"])


def test_any_tool_can_open_it(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    path, _ = write_shard(tmp_path, ragged_rows(), RAGGED, names(ragged_rows()))
    arrays = load_file(path)
    assert arrays["offsets"].tolist() == [0, 3, 4, 9]
    assert arrays["hidden_states"].shape == (9, 4)


def test_rows_cannot_be_written_through(tmp_path: Path) -> None:
    rows = fixed_rows(np.float32)
    shard = Shard(*write_shard(tmp_path, rows, (), names(rows)), ())
    with pytest.raises(ValueError, match="read-only"):
        shard.row(0)["maps"][:] = 0


def test_every_flipped_bit_is_found_before_the_first_row(tmp_path: Path) -> None:
    rows = ragged_rows()
    path, checksum = write_shard(tmp_path, rows, RAGGED, names(rows))
    good = path.read_bytes()
    for position in range(0, len(good), 5):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1 << position % 8]) + good[position + 1 :])
        with pytest.raises(DataError, match="is damaged"):
            Shard(path, checksum, RAGGED)


def test_every_truncation_is_found(tmp_path: Path) -> None:
    rows = ragged_rows()
    path, checksum = write_shard(tmp_path, rows, RAGGED, names(rows))
    good = path.read_bytes()
    for length in range(0, len(good), 5):
        path.write_bytes(good[:length])
        with pytest.raises((DataError, ValueError)):
            Shard(path, checksum, RAGGED)


def test_a_row_of_another_example_is_refused(tmp_path: Path) -> None:
    rows = fixed_rows(np.float32)
    shard = Shard(*write_shard(tmp_path, rows, (), names(rows)), ())
    shard.require({"example0": 0, "example3": 3})
    for positions in ({"example0": 1}, {"example0": 99}, {"another": 0}):
        with pytest.raises(DataError, match="does not fit"):
            shard.require(positions)
