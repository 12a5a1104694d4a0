from __future__ import annotations

import pytest

from headstart import assets
from headstart.cli import main


@pytest.fixture
def obtained(monkeypatch, tmp_path):
    """Pretend that the photos have been obtained, and return their folder."""
    folder = tmp_path / "cache" / "photos"
    (folder / "train" / "bird").mkdir(parents=True)
    (folder / "train" / "bird" / "crow.png").write_bytes(b"a crow")
    monkeypatch.setattr(assets, "get", lambda name, on_progress=None: folder)
    monkeypatch.setattr(assets, "verify", lambda name: True)
    monkeypatch.setattr(assets, "present", lambda name: True)
    return folder


def code_of(*arguments):
    with pytest.raises(SystemExit) as exit:
        main([str(argument) for argument in arguments])
    return exit.value.code


def test_what_is_obtained_can_be_copied_to_work_with(obtained, tmp_path):
    assert code_of("assets", "get", "photos", "--into", tmp_path / "mine") == 0
    assert (tmp_path / "mine" / "photos" / "train" / "bird" / "crow.png").read_bytes() == b"a crow"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["photos"]


def test_nothing_of_the_users_is_overwritten(obtained, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    assert code_of("assets", "get", "photos", "--into", tmp_path) == 2
    assert "exists" in capsys.readouterr().err


def test_a_copy_that_fails_leaves_nothing(obtained, tmp_path, monkeypatch, capsys):
    def full(source, target, **_):
        (target / "half").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copytree", full)
    assert code_of("assets", "get", "photos", "--into", tmp_path / "mine") == 1
    assert list((tmp_path / "mine").iterdir()) == []
    assert "this is a bug" not in capsys.readouterr().err


def test_into_needs_names(capsys):
    assert code_of("assets", "--into", "here") == 2
    assert "headstart assets get" in capsys.readouterr().err
