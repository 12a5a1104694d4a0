"""What all pages are made with: templates that escape every text of the user's, in one style, without other hosts."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from headstart.reporting import certainty, conclusions, wording

if TYPE_CHECKING:
    from jinja2 import Template

# The sentences of `wording` that templates use as filters.
_FILTERS = (
    "score", "interval", "certainty", "duration", "excerpt", "baseline_name", "metric_name", "percent",
    "headline", "comparison", "others", "spread", "seeds", "cut", "engine", "saved",
)  # fmt: skip
_OF_CERTAINTY = ("states_probabilities", "calibration", "abstention", "growth")


@cache
def template(room: str, name: str) -> Template:
    """Return the template `name` that lies in the package `room`; a name that it lacks is an error, not nothing."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(_filters())
    environment.globals["styles"] = Markup(_text("headstart.reporting", "page.css"))
    return environment.from_string(_text(room, name))


def _filters() -> dict[str, Any]:
    sentences = {name: getattr(wording, name) for name in _FILTERS}
    sentences |= {name: getattr(certainty, name) for name in _OF_CERTAINTY}
    return sentences | {
        "verdict": conclusions.verdict,
        "looks": conclusions.looks,
        "data_problems": conclusions.data,
        "seconds_name": wording.SECONDS.get,
    }


def _text(room: str, name: str) -> str:
    return files(room).joinpath(name).read_text(encoding="utf-8")
