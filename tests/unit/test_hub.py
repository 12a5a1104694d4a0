"""Weights from a hub and models to it, against a small hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart import api
from headstart.backbones import open_backbone
from headstart.checkpoints import hub as client
from headstart.cli import main
from headstart.errors import CheckpointError, ModelError, NetworkError
from hub_server import TOKEN, Hub, Repository, running
from networks import write_examples, write_network

# What huggingface_hub uploads large files with is deprecated by its own client.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = write_network(tmp_path_factory.mktemp("network"), "bert")
    found = {file.name: file.read_bytes() for file in folder.iterdir()}
    return {**found, "pytorch_model.bin": b"a pickle", "modeling.py": b"code", "onnx/model.onnx": b"another format"}


@pytest.fixture
def hub(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    # The hub takes large files by Git LFS as well, which is a simpler protocol.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with running() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.repositories["toys/tiny-bert"] = Repository(dict(files))
        yield hub


def test_a_repository_is_obtained_without_code_and_pickles(hub: Hub) -> None:
    backbone = open_backbone("toys/tiny-bert")
    assert backbone.name == f"toys/tiny-bert@{hub.repositories['toys/tiny-bert'].commit}"
    assert len(backbone.blocks) == 4
    names = {file.name for file in backbone.source.iterdir()}
    assert {"config.json", "model.safetensors"} <= names
    assert not names & {"pytorch_model.bin", "modeling.py", "onnx"}
    assert hub.tokens() == {TOKEN}


def test_a_commit_stays_what_it_is_while_the_branch_moves_on(hub: Hub) -> None:
    repository = hub.repositories["toys/tiny-bert"]
    first = repository.commit
    folder = client.download("toys/tiny-bert")
    repository.files["README.md"] = b"a new commit"
    assert client.download("toys/tiny-bert") != folder
    assert client.download(f"toys/tiny-bert@{first}") == folder
    assert not (folder / "README.md").exists()


def test_what_was_obtained_is_used_when_the_hub_is_gone(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = client.download("toys/tiny-bert")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert client.download("toys/tiny-bert") == folder
    assert client.download(client.pinned("toys/tiny-bert", folder)) == folder
    with pytest.raises(NetworkError, match="cannot be reached"):
        client.download("toys/another")


def test_a_large_file_that_is_not_what_the_hub_says_is_refused(hub: Hub) -> None:
    hub.corrupt = True
    with pytest.raises(CheckpointError, match="SHA-256"):
        open_backbone("toys/tiny-bert")


def test_a_large_file_that_has_rotted_since_is_refused(hub: Hub) -> None:
    stored = (client.download("toys/tiny-bert") / "model.safetensors").resolve()
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(content)
    with pytest.raises(CheckpointError, match="SHA-256") as caught:
        client.download("toys/tiny-bert")
    assert str(stored) in caught.value.hint


def test_a_private_repository_needs_the_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["toys/tiny-bert"].private = True
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(ModelError, match="no repository") as caught:
        client.download("toys/tiny-bert")
    assert "HF_TOKEN" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert (client.download("toys/tiny-bert") / "config.json").is_file()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("toys/absent", "no repository `toys/absent`"),
        ("toys/tiny-bert@absent", "no such revision: `toys/tiny-bert@absent`"),
        ("toys/tiny bert", "no repository `toys/tiny bert`"),
    ],
)
def test_what_is_not_there_is_named(hub: Hub, name: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        open_backbone(name)


def test_a_gated_repository_and_one_without_a_network_are_told_apart(hub: Hub) -> None:
    hub.repositories["toys/gated"] = Repository(gated=True)
    with pytest.raises(ModelError, match="asks for your agreement") as caught:
        open_backbone("toys/gated")
    assert "HF_TOKEN" in caught.value.hint
    hub.repositories["toys/notes"] = Repository({"README.md": b"# Notes"})
    with pytest.raises(ModelError, match="holds no network"):
        open_backbone("toys/notes")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("org/name", True), ("org/name@main", True), ("org/name@refs/pr/1", True), ("name", False), ("./org/name", False),
     ("/org/name", False), ("~/name", False), ("a/b/c", False), ("minilm-l6@main", False)],
)  # fmt: skip
def test_hub_ids_are_told_from_paths_and_names(name: str, expected: bool) -> None:
    assert client.is_id(name) is expected


@pytest.fixture
def model_folder(files: dict[str, bytes], tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "thumbnails").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_bytes(files[name])
    for name in ("headstart.toml", "headstart.json", "report.html", "README.md", ".env", "notes.docx"):
        (folder / name).write_text("content")
    (folder / "thumbnails" / "me.json").write_text("{}")
    return folder


def test_a_pushed_model_is_private_and_shows_no_examples(hub: Hub, model_folder: Path) -> None:
    result = client.push(model_folder, "me/my-model")
    repository = hub.repositories["me/my-model"]
    expected = {"config.json", "model.safetensors", "tokenizer.json", "headstart.toml", "README.md"}
    assert set(repository.files) == expected
    assert repository.private
    assert result["private"] is True
    assert result["commit"] == repository.commit
    assert result["url"] == f"{hub.url}/me/my-model"
    assert set(result["files"]) == expected
    assert repository.files["model.safetensors"] == (model_folder / "model.safetensors").read_bytes()
    assert {token for _, path, token in hub.requests if path.startswith("api/")} == {TOKEN}


def test_a_model_is_public_where_that_was_asked_for(hub: Hub, model_folder: Path) -> None:
    assert client.push(model_folder, "me/my-model", private=False)["private"] is False
    assert not hub.repositories["me/my-model"].private


def test_nothing_goes_to_a_repository_that_everyone_sees_unasked(hub: Hub, model_folder: Path) -> None:
    hub.repositories["me/my-model"] = Repository()
    with pytest.raises(ModelError, match="is public"):
        client.push(model_folder, "me/my-model")
    assert not hub.repositories["me/my-model"].files
    client.push(model_folder, "me/my-model", private=False)
    assert hub.repositories["me/my-model"].files


def test_pushing_needs_a_token_and_a_model(hub: Hub, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no config.json"):
        client.push(model_folder / "thumbnails", "me/my-model")
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(ModelError) as caught:
        client.push(model_folder, "me/my-model")
    assert "HF_TOKEN" in caught.value.hint
    assert not hub.repositories.keys() - {"toys/tiny-bert"}


def test_a_hub_that_cannot_be_reached_is_named(hub: Hub, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for call in (lambda: client.download("toys/other"), lambda: client.push(model_folder, "me/my-model")):
        with pytest.raises(NetworkError, match="cannot be reached"):
            call()


def test_a_mirror_that_is_none_is_named(hub: Hub, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["toys/tiny-bert"] = None  # type: ignore[assignment]  (answers break off)
    monkeypatch.setattr("hub_server._Handler._find", lambda self, name, token: self._send(["what?"]))
    for call in (lambda: client.download("toys/tiny-bert"), lambda: client.push(model_folder, "me/my-model")):
        with pytest.raises(NetworkError) as caught:
            call()
        assert "HF_ENDPOINT" in caught.value.hint + caught.value.message or "reached" in caught.value.message


@pytest.mark.slow
def test_a_model_goes_to_a_hub_and_comes_back(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    reviews = write_examples(tmp_path / "data", "text")
    model = api.fit(
        reviews, backbone="toys/tiny-bert", freeze="all", head="pooler", baselines=False, output_dir=tmp_path / "model"
    )
    assert model.facts["origin"] == f"toys/tiny-bert@{hub.repositories['toys/tiny-bert'].commit}"
    with pytest.raises(SystemExit) as left:
        main(["push", str(tmp_path / "model"), "me/my-model", "--json"])
    assert left.value.code == 0
    assert json.loads(capsys.readouterr().out)["private"] is True
    assert "headstart.json" not in hub.repositories["me/my-model"].files
    again = api.load(client.download("me/my-model"))
    texts = ["a good film", "an awful meal"]
    assert [one.label for one in again.predict(texts)] == [one.label for one in model.predict(texts)]


@pytest.mark.slow
def test_the_environment_decides_in_a_fresh_process(hub: Hub, tmp_path: Path) -> None:
    """Offline, with nothing obtained yet, and then with it."""

    def download(**environment: str) -> str:
        code = """
import sys
from headstart.checkpoints import hub
from headstart.errors import NetworkError
try:
    print(hub.download("toys/tiny-bert").name)
except NetworkError:
    print("unreachable")
"""
        variables = {**os.environ, "HF_HOME": str(tmp_path / "home"), **environment}
        done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert download(HF_HUB_OFFLINE="1") == "unreachable"
    assert not hub.requests
    commit = hub.repositories["toys/tiny-bert"].commit
    assert download() == commit
    hub.requests.clear()
    assert download(HF_HUB_OFFLINE="1") == commit
    assert not hub.requests
