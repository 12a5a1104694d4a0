"""Where everything that can be obtained or computed again is kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from headstart.errors import MachineError


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
