"""What a run has decided, written down before it acts, so that a run that goes on decides the same.

One JSON object a line, synced line by line. A kill may tear the last line: it is dropped, and since nothing has acted
on it, it may be decided anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from headstart.durable import saying_what_failed, sync

Value = TypeVar("Value")  # what JSON can hold

Decide = Callable[[str, Callable[[], Any]], Any]
"""Takes the name of a decision and what decides it, and returns what was decided."""


def anew(name: str, choose: Callable[[], Value]) -> Value:
    """Decide without a journal."""
    return choose()


class Journal:
    """The decisions of one run, in the file `path`, which appears with the first of them.

    Attributes:
        found: there were decisions when it was opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        whole = path.read_bytes() if path.exists() else b""
        lines = whole.splitlines(keepends=True)
        self._decided: dict[str, Any] = {}
        self._end = 0
        for line in lines:
            entry = _entry(line)
            if entry is None:
                break
            self._decided[entry["decision"]] = entry["value"]
            self._end += len(line)
        self.found = bool(self._decided)

    def decide(self, name: str, choose: Callable[[], Value]) -> Value:
        """Return what was decided under `name`; where nothing was, choose, and write that down first.

        Raises:
            NoSpace, MachineError: it cannot be written down.
        """
        if name not in self._decided:
            value = choose()
            self._append(json.dumps({"decision": name, "value": value}).encode() + b"\n")
            self._decided[name] = value
        return self._decided[name]

    def _append(self, line: bytes) -> None:
        new = not self._path.exists()
        with saying_what_failed(self._path, len(line)):
            with self._path.open("ab") as file:
                file.truncate(self._end)  # what a kill or a full disk has torn
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            if new:
                sync(self._path.parent)
        self._end += len(line)


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
        return entry if line.endswith(b"\n") and "value" in entry and isinstance(entry["decision"], str) else None
    except (ValueError, KeyError, TypeError):
        return None
