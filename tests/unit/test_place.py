from __future__ import annotations

from pathlib import Path

import pytest

from headstart.errors import UsageError
from headstart.place import given_path


def test_the_home_folder_is_meant_by_its_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert given_path("~/photos", what="the data") == Path("/home/ann/photos")
    assert given_path("~nobody-of-this-name/x", what="the data") == Path("~nobody-of-this-name/x")
    assert given_path("C:/photos", what="the data") == Path("C:/photos")


@pytest.mark.parametrize("written", ["", "  ", "https://example.org/photos.zip", "s3://photos"])
def test_nothing_and_addresses_are_no_paths(written: str) -> None:
    with pytest.raises(UsageError, match="the data"):
        given_path(written, what="the data")
