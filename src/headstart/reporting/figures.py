"""The report's figures as SVG that lives in a page: in its colours, light or dark, and in its typeface."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from headstart.record import Control, Point, Record, Scatter
from headstart.reporting import wording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins that no palette uses; the page's own colours take their place when the drawing is done.
INK, MUTED, LINE, ACCENT, WARM = "#010101", "#020202", "#030303", "#040404", "#050505"
_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    WARM: "var(--warm)",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "headstart",
    "text.parse_math": False,
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.unicode_minus": False,
}
_WIDTH_INCHES = 5.5
_POINTS = 2000  # of a scatter plot, so that a page stays small


def scores(record: Record) -> Markup:
    """Draw the adapted model and all baselines with their intervals, the model first."""
    own = wording.test_control(record)
    if own is None:
        return Markup()
    rows = [("Adapted model", own)]
    rows += [(wording.baseline_name(name), control) for name, control in wording.known(record)]
    with _style():
        figure, axes = _figure(0.9 + 0.38 * len(rows))
        for place, (_, control) in enumerate(rows):
            _interval(axes, control, place, WARM if place == 0 else ACCENT)
            _beside(axes, place, wording.score(control.score, record.first_metric), bold=place == 0)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows], color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        _score_axis(axes.xaxis, axes.set_xlim, record.first_metric)
        axes.set_xlabel(f"{wording.metric_name(record.first_metric).capitalize()} with 95 % interval")
        told = [f"{n}: {_told(control, record.first_metric)}" for n, control in rows]
        return _svg(figure, "scores", "The adapted model beside its baselines", ". ".join(told))


def learning(record: Record) -> Markup:
    """Draw train loss and validation metric over the epochs of the thawed part, the chosen epoch marked.

    Where only the head was trained, the horizontal axis is the strength of its fit instead.
    """
    runs = epochs_of(record)
    if not runs:
        return Markup()
    metric, chosen = record.first_metric, chosen_epoch(record)
    with _style():
        figure = _blank(4.2)
        above, below = figure.subplots(2, 1, sharex=True)
        for run in runs:
            epochs = [entry["epoch"] for entry in run]
            _line(above, epochs, [entry["train_loss"] for entry in run], ACCENT)
            _line(below, epochs, [wording.find(entry["validation"], metric) for entry in run], ACCENT)
        above.set_title("Loss on the training examples", loc="left", fontsize=11, color=INK)
        title = f"{wording.metric_name(metric).capitalize()} on the validation split"
        below.set_title(title, loc="left", fontsize=11, color=INK)
        for axes in (above, below):
            axes.grid(axis="y", color=LINE, linewidth=0.6)
            _whole_ticks(axes)
            if chosen is not None:
                axes.axvline(chosen["epoch"], color=WARM, linewidth=1.2, linestyle=(0, (4, 3)))
        if wording.in_percent(metric):
            below.yaxis.set_major_formatter(_as_percent)
        below.set_xlabel("Epoch" if thawed(record) else "Fit of the head, from loose to close")
        return _svg(figure, "learning", "Learning curve", _told_learning(record, runs, chosen))


def depths(record: Record) -> Markup:
    """Draw the validation score at every measured depth, the kept one marked."""
    rows = [row for row in record.depths if _finite(row["score"])]
    if not rows:
        return Markup()
    with _style():
        figure, axes = _figure(2.6)
        for row in rows:
            control = Control(row["score"], row["ci_low"], row["ci_high"])
            _interval(axes, control, row["keep"], WARM if row["keep"] == record.keep else ACCENT, upright=True)
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        _whole_ticks(axes)
        if wording.in_percent(record.first_metric):
            axes.yaxis.set_major_formatter(_as_percent)
        axes.set_xlabel("Blocks below the head")
        axes.set_ylabel(wording.metric_name(record.first_metric).capitalize())
        told = [f"{row['keep']} blocks: {wording.score(row['score'], record.first_metric)}" for row in rows]
        return _svg(figure, "depths", "Validation score at every depth", "; ".join(told))


def scatter(section: Scatter, name: str) -> Markup:
    """Draw predicted over true values, with the line on which both are the same."""
    if not section.true:
        return Markup()
    low, high = min(*section.true, *section.predicted), max(*section.true, *section.predicted)
    with _style():
        figure, axes = _figure(3.6)
        axes.plot((low, high), (low, high), color=LINE, linewidth=1.2)
        shown = slice(None, None, max(1, len(section.true) // _POINTS))
        axes.plot(section.true[shown], section.predicted[shown], "o", color=ACCENT, markersize=4, alpha=0.6)
        axes.set_xlabel("True value")
        axes.set_ylabel("Predicted value")
        told = f"{len(section.true)} examples with values from {low:.4g} to {high:.4g}."
        return _svg(figure, name, section.title, told)


def reliability(record: Record) -> Markup:
    """Draw the share that came true over the probability that was stated, before and after calibration."""
    found = record.calibration
    if found is None or not found.after:
        return Markup()
    low = min(0.9, *(math.floor(10 * min(p.place, p.ci_low)) / 10 for p in (*found.before, *found.after)))
    with _style():
        figure, axes = _figure(3.4)
        axes.plot((low, 1), (low, 1), color=LINE, linewidth=1.2)
        if found.temperature != 1:
            places, shares = zip(*((point.place, point.score) for point in found.before), strict=True)
            axes.plot(places, shares, "o", color=MUTED, fillstyle="none", markersize=6, label="Before", clip_on=False)
        for number, point in enumerate(found.after):
            _interval(
                axes, point, point.place, ACCENT, upright=True, label="" if number else "Calibrated, with interval"
            )
        axes.set_xlim(low, 1)
        axes.set_ylim(low, 1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(_few_ticks())
            axis.set_major_formatter(_as_percent)
        axes.set_xlabel("Stated probability")
        axes.set_ylabel("Share that is so")
        if found.temperature != 1:
            axes.legend(loc="upper left", frameon=False)
        told = [f"{wording.percent(p.place)} stated, {_told(p, 'eval_accuracy')} are so" for p in found.after]
        return _svg(figure, "reliability", "Stated probabilities and what came true", "; ".join(told))


def coverage(record: Record) -> Markup:
    """Draw the share of right answers over the share of examples that are answered, the threshold marked."""
    found = record.abstention
    if found is None or len(found.curve) < 2:
        return Markup()
    places = [point.place for point in found.curve]
    with _style():
        figure, axes = _figure(2.8)
        ends = [point.ci_low for point in found.curve], [point.ci_high for point in found.curve]
        axes.fill_between(places, *ends, color=ACCENT, alpha=0.15, linewidth=0)
        axes.plot(places, [point.score for point in found.curve], color=ACCENT, linewidth=1.8)
        told = [f"Of all examples {_told(found.curve[-1], 'eval_accuracy')} are right"]
        if found.right is not None:
            _interval(axes, found.right, found.right.place, WARM, upright=True)
            told.append(
                f"of the {wording.percent(found.right.place)} above the threshold {_told(found.right, 'eval_accuracy')}"
            )
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.set_xlim(0, 1)
        axes.set_ylim(math.floor(10 * min(ends[0])) / 10, 1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(_as_percent)
        axes.set_xlabel("Share of the examples that is answered, the surest first")
        axes.set_ylabel("Right among these")
        return _svg(figure, "coverage", "Right answers by how many are given", "; ".join(told))


def growth(record: Record) -> Markup:
    """Draw the score of a linear head over the number of examples that it learnt from."""
    found = record.growth
    if found is None or len(found.points) < 2:
        return Markup()
    places = [point.place for point in found.points]
    with _style():
        figure, axes = _figure(2.6)
        axes.plot(places, [point.score for point in found.points], color=ACCENT, linewidth=1.2)
        for point in found.points:
            _interval(axes, point, point.place, ACCENT, upright=True)
        axes.set_xscale("log", base=2)
        axes.set_xticks(places, [f"{place:,.0f}" for place in places])
        axes.set_xlim(places[0] / 1.2, places[-1] * 1.2)
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        if wording.in_percent(record.first_metric):
            axes.yaxis.set_major_formatter(_as_percent)
        axes.set_xlabel("Examples learnt from")
        axes.set_ylabel(wording.metric_name(record.first_metric).capitalize())
        told = [f"{point.place:,.0f} examples: {_told(point, record.first_metric)}" for point in found.points]
        return _svg(figure, "growth", "Score by the number of training examples", "; ".join(told))


def thawed(record: Record) -> bool:
    """Say whether blocks above the cut were trained, and not the head alone."""
    return any(entry["stage"] == "thawed" for entry in record.history)


def epochs_of(record: Record) -> list[list[dict[str, Any]]]:
    """Return the epochs of the stage that decided, one list for each seed."""
    stage = "thawed" if thawed(record) else "head"
    runs: list[list[dict[str, Any]]] = []
    for entry in record.history:
        if entry["stage"] == stage:
            if not runs or entry["epoch"] <= runs[-1][-1]["epoch"]:
                runs.append([])
            runs[-1].append(entry)
    return runs


def chosen_epoch(record: Record) -> dict[str, Any] | None:
    """Return the epoch with the lowest validation loss, whose weights were kept."""
    measured = [e for run in epochs_of(record) for e in run if wording.find(e["validation"], "eval_loss") is not None]
    return min(measured, key=lambda entry: entry["validation"]["eval_loss"], default=None)


def _style() -> Any:
    from matplotlib import rc_context

    return rc_context(_STYLE)


def _blank(height_inches: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(_WIDTH_INCHES, height_inches), layout="constrained")


def _figure(height_inches: float) -> tuple[Figure, Axes]:
    figure = _blank(height_inches)
    return figure, figure.subplots()


def _interval(
    axes: Axes, control: Control | Point, place: float, colour: str, *, upright: bool = False, label: str = ""
) -> None:
    """Draw a dot with its interval, lying at height `place` or standing at `place` along the axis."""
    ends, centre, dot = (control.ci_low, control.ci_high), (place, place), ([control.score], [place])
    line = (centre, ends) if upright else (ends, centre)
    axes.plot(*line, color=colour, linewidth=2, solid_capstyle="round", clip_on=False)
    axes.plot(*(reversed(dot) if upright else dot), "o", color=colour, markersize=6.5, clip_on=False, label=label)


def _beside(axes: Axes, place: float, text: str, *, bold: bool) -> None:
    weight = "bold" if bold else "normal"
    axes.annotate(text, (1.02, place), xycoords=("axes fraction", "data"), va="center", color=INK, fontweight=weight)


def _score_axis(axis: Any, set_limits: Any, metric: str) -> None:
    if wording.in_percent(metric):
        set_limits(0, 1.02)
        axis.set_major_formatter(_as_percent)


def _as_percent(value: float, _: Any) -> str:
    return f"{100 * value:.4g} %"


def _line(axes: Axes, epochs: Sequence[float], values: Iterable[float | None], colour: str) -> None:
    points = [math.nan if value is None else value for value in values]
    axes.plot(epochs, points, color=colour, linewidth=1.6, marker="o" if len(points) <= 40 else "", markersize=4)


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(6)


def _whole_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _told(control: Control | Point, metric: str) -> str:
    return f"{wording.score(control.score, metric)}, interval {wording.interval(control, metric)}"


def _told_learning(record: Record, runs: list[list[dict[str, Any]]], chosen: dict[str, Any] | None) -> str:
    metric = record.first_metric
    start, end = (
        wording.score(wording.find(entry["validation"], metric), metric) for entry in (runs[0][0], runs[0][-1])
    )
    told = f"{wording.metric_name(metric).capitalize()} on validation goes from {start} to {end}."
    return told if chosen is None else f"{told} The one chosen is number {chosen['epoch']:g}."


def _svg(figure: Figure, name: str, title: str, description: str) -> Markup:
    """Return the drawing as an element of the page: no prologue, own ids, a title and a description."""
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawing = file.getvalue()
    _, view, body = re.split(r'viewBox="([^"]+)"[^>]*>', drawing.removesuffix("</svg>\n"), maxsplit=1)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    for stand_in, colour in _COLOURS.items():
        body = body.replace(stand_in, colour)
    return Markup(
        '<svg class="figure" role="img" aria-labelledby="{0}-title {0}-description" viewBox="{1}">'
        '<title id="{0}-title">{2}</title><desc id="{0}-description">{3}</desc>{4}</svg>'
    ).format(name, view, escape(title), escape(description), Markup(body))
