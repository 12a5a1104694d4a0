"""Everything that can go wrong, as one tree. Each error says what is wrong and the way out.

HeadstartError
├── UsageError              the call itself is wrong                      (exit code 2)
├── DataError               the user's examples cannot be used
│   ├── UnreadableFile      one file is damaged, empty, or not what its name says
│   └── TableError          a table lacks a column, an encoding, a value
├── ModelError              a backbone or an adapted model cannot be used
│   ├── CheckpointError     a weight file is damaged or does not fit its configuration
│   ├── UnsafeFile          a file wants to run code, or to escape its folder
│   └── VersionError        the folder was written by a newer headstart
└── MachineError            the machine lacks something
    ├── MissingExtra        a Python package of an extra is not installed
    ├── MissingClient       a program such as apt or npm is not installed
    ├── NetworkError        something could not be fetched
    └── NoSpace             the disk is full
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class HeadstartError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what is wrong, with the offending value in backticks.
        hint: the way out: the valid choices, or the command to run.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(HeadstartError):
    exit_code = 2


class DataError(HeadstartError):
    pass


class UnreadableFile(DataError):
    """One input file that cannot be decoded; runs name it, count it and go on without it.

    Args:
        path: the file.
        cause: a short clause, such as "is truncated".
    """

    def __init__(self, path: Path | str, cause: str, hint: str = "") -> None:
        super().__init__(f"`{path}` {cause}", hint or "replace or remove the file")
        self.path = Path(path)
        self.cause = cause


class TableError(DataError):
    pass


class ModelError(HeadstartError):
    pass


class CheckpointError(ModelError):
    pass


class UnsafeFile(ModelError):
    pass


class VersionError(ModelError):
    pass


class MachineError(HeadstartError):
    pass


class MissingExtra(MachineError):
    """A Python package is not installed that the extra `extra` brings."""

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f"the Python package `{package}` is not installed",
            f"pip install 'headstart[{extra}]'",
        )


class MissingClient(MachineError):
    pass


class NetworkError(MachineError):
    pass


class NoSpace(MachineError):
    pass


def first_line(error: BaseException) -> str:
    """Return what an exception of a library says, in one line of bearable length."""
    return next((line[:200] for line in str(error).strip().splitlines()), type(error).__name__)


def nearest(value: str, choices: Iterable[str]) -> str:
    """Return a hint that names the valid choice nearest to `value`, or all of them."""
    choices = sorted(choices)
    close = difflib.get_close_matches(value.lower(), choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return "choose one of: " + ", ".join(choices)
