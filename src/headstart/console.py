"""What commands share when they speak: data to stdout, everything else to stderr.

rich follows NO_COLOR. Bars appear only where stderr is a terminal; elsewhere progress is a few plain lines.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headstart.errors import HeadstartError
from headstart.events import EpochEnded, Event, Forecast, Listener, Note, Progress
from headstart.reporting.wording import NO_BREAK, duration, size

if TYPE_CHECKING:
    import rich.progress

SECONDS_BETWEEN_LINES = 5.0


def say(text: str = "") -> None:
    """Write one line of results to stdout."""
    sys.stdout.write(printable(text) + "\n")


def say_json(value: Any) -> None:
    """Write `value` to stdout as one line of JSON; numbers that JSON lacks become null."""
    value = _finite(value)
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, or a stdout that is not UTF-8
        line = json.dumps(value, allow_nan=False)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write aligned columns to stdout, never cut to the width of a terminal."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def note(text: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(printable(text) + "\n")


def say_error(error: HeadstartError, *, as_json: bool) -> None:
    """Write an error and its hint to stderr, and with `as_json` to stdout for the program that reads it."""
    note(f"error: {error.message}")
    if error.hint:
        note(f"hint: {error.hint}")
    if as_json:
        say_json({"error": error.message, "hint": error.hint})


def printable(text: str) -> str:
    """Escape what a file name or a text could use to steer the terminal, and what stdout cannot encode."""
    text = text.replace(NO_BREAK, " ")
    visible = "".join(c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text)
    encoding = sys.stdout.encoding or "utf-8"
    return visible.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def listening() -> Iterator[Listener]:
    """Show events on stderr while the block runs: bars on a terminal, else plain lines."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with _bars() as bars:
        yield _Bars(bars)


class _Lines:
    """Plain lines; what repeats is thinned out to one line every few seconds."""

    def __init__(self) -> None:
        self._last = -math.inf

    def __call__(self, event: Event) -> None:
        finished = isinstance(event, Progress) and event.done >= event.total
        if isinstance(event, Note | Forecast) or finished or self._due():
            note(describe(event))

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES:
            return False
        self._last = now
        return True


class _Bars:
    """One bar a stage, with the time that remains; sentences appear above the bars."""

    def __init__(self, bars: rich.progress.Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, rich.progress.TaskID] = {}

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Progress):
            self._bars.console.print(printable(describe(event)), markup=False, highlight=False)
            return
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._bars.add_task(printable(event.stage), total=event.total)
        self._bars.update(self._tasks[event.stage], completed=event.done, total=event.total)


def _bars() -> rich.progress.Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
        # rich would send what is printed to its own console, which is stderr.
        redirect_stdout=sys.stdout.isatty(),
    )


def describe(event: Event) -> str:
    """Return an event as one line."""
    match event:
        case Note(text):
            return text
        case Progress(stage, done, total):
            return f"{stage}: {done:,} of {total:,}"
        case Forecast():
            return _describe_forecast(event)
        case EpochEnded():
            return _describe_epoch(event)


def _describe_forecast(forecast: Forecast) -> str:
    work = f"{forecast.examples:,} examples to compute, about {duration(forecast.seconds)}"
    if not forecast.cached:
        return f"{work}; the features are not kept: {forecast.reason}"
    return f"{work} and {size(forecast.bytes)} on disk, where {size(forecast.free_bytes)} are free"


def _describe_epoch(epoch: EpochEnded) -> str:
    measured = "".join(f"  {readable(name)} {value:.3f}" for name, value in epoch.validation.items())
    best = "  best so far" if epoch.best else ""
    return f"{epoch.stage} epoch {epoch.epoch}: train loss {epoch.train_loss:.3f}{measured}{best}"


def readable(metric: str) -> str:
    """Return `eval_f1_macro` as `f1 macro`."""
    return metric.removeprefix("eval_").replace("_", " ")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
