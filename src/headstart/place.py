"""Where things lie: what can be obtained or computed again, and what users name by its path."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from headstart.errors import MachineError, UsageError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # not `C:/`


def given_path(value: str | os.PathLike[str], *, what: str) -> Path:
    """Return a path that a user wrote, with `~` for the home folder.

    Args:
        what: how messages call it, such as `the model folder`.

    Raises:
        UsageError: it is empty, as an unset variable of a shell is, or the address of something on a network.
    """
    written = os.fspath(value)
    if not written.strip():
        raise UsageError(f"no path was given for {what}", "give one; `.` is the folder you are in")
    if _ADDRESS.match(written):
        raise UsageError(f"`{written}` is an address, and {what} must lie on this machine", "download it first")
    return Path(os.path.expanduser(written))  # noqa: PTH111  (unlike pathlib, it raises on no name at all)


def cache_folder() -> Path:
    """Return the cache folder, made if absent and readable by its owner only: features are personal data.

    `HEADSTART_CACHE` names it; else `headstart` in the platform's folder for caches: `$XDG_CACHE_HOME` or
    `~/.cache`, on macOS `~/Library/Caches`, on Windows `%LOCALAPPDATA%`.

    Raises:
        MachineError: the folder cannot be made.
    """
    folder = Path(os.environ.get("HEADSTART_CACHE") or _user_caches() / "headstart").expanduser()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"the cache folder `{folder}` cannot be made: {error.strerror}",
            "set HEADSTART_CACHE to a folder that you can write to",
        ) from error
    return folder


def copies_folder() -> Path:
    """Return the folder for copies of a user's data that lie in no file of their own, made if absent."""
    folder = cache_folder() / "copies"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _user_caches() -> Path:
    """Follow the XDG Base Directory Specification 0.8, and the customs of the other platforms."""
    if sys.platform == "darwin":
        return Path("~/Library/Caches")
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local")
    named = os.environ.get("XDG_CACHE_HOME", "")
    # The specification says that a relative path is to be ignored.
    return Path(named) if named.startswith("/") else Path("~/.cache")
