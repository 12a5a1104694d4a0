"""What the scripts that pre-train small networks share: packages, the loop within given minutes, the comparison."""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart import api
from headstart.assets.clients import fetch
from headstart.assets.contract import Source
from headstart.record import Record

Settings = dict[str, Any]

PRETRAINED = "pre-trained"
WARMUP = 0.05
SHOWN_EVERY = 30.0  # seconds


def arguments(about: str) -> argparse.Namespace:
    """Read OUTPUT and the options that these scripts share."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "output", type=Path, help="folder for the network, in hub layout; one that is there is only compared"
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="processor time for the training")
    parser.add_argument("--draws", type=int, default=3, help="how often to compare, each time on other data")
    return parser.parse_args()


@contextmanager
def package(source: Source) -> Iterator[Path]:
    """Fetch a package and check its hash."""
    with tempfile.TemporaryDirectory() as folder:
        yield fetch(source, Path(folder), asset="what to pre-train on")


def train(
    network: nn.Module,
    batches: Iterable[dict[str, Tensor]],
    loss_of: Callable[[dict[str, Tensor]], Tensor],
    *,
    minutes: float,
    learning_rate: float,
) -> int:
    """Train with AdamW until the minutes are over and return the steps.

    They are those of the processor, so that other programs change nothing. The learning rate rises, then falls
    linearly to 0 with the time that is left. The network runs in bfloat16.
    """
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    started, shown, losses, steps = time.process_time(), 0.0, [], 0
    for batch in batches:
        passed = time.process_time() - started
        if passed >= 60 * minutes:
            break
        share = passed / (60 * minutes)
        optimizer.param_groups[0]["lr"] = learning_rate * min(share / WARMUP, (1 - share) / (1 - WARMUP))
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        steps += 1
        if passed - shown > SHOWN_EVERY:
            print(f"{passed:5.0f} s  step {steps}  loss {sum(losses) / len(losses):.3f}", flush=True)
            shown, losses = passed, []
    return steps


def compare(
    data_of: Callable[[int, Path], Path], backbone: Path, *, draws: int, beside: Mapping[str, Settings] | None = None,
    **settings: Any,
) -> None:  # fmt: skip
    """Fit on each draw of the data, and print the score beside those of the controls and what was gained over them.

    Args:
        data_of: writes the data of a draw below a folder and returns where they are.
        beside: other settings to fit the same data with, by the names that their rows get.
        settings: of all fits.
    """
    gains: dict[str, list[float]] = {}
    for draw in range(draws):
        with tempfile.TemporaryDirectory() as folder:
            data = data_of(draw, Path(folder))
            record = api.fit(
                data, output_dir=Path(folder) / "model", **{**settings, "backbone": str(backbone), "seed": draw}
            ).record
            rows = _rows(record)
            for name, others in (beside or {}).items():
                changed = {**settings, "seed": draw, "baselines": False, **others}
                rows[name] = _rows(api.fit(data, output_dir=Path(folder) / name, **changed).record)[PRETRAINED]
        print(f"draw {draw}: {record.first_metric} on {record.test_examples} test examples, keep {record.keep}, "
              f"freeze {record.freeze}")  # fmt: skip
        for name, (score, low, high) in rows.items():
            print(f"  {name:24} {score:.3f} [{low:.3f}, {high:.3f}]", flush=True)
            if name != PRETRAINED:
                gains.setdefault(name, []).append(rows[PRETRAINED][0] - score)
    for name, each in gains.items():
        print(f"gain over {name:24} {mean_with_interval(each)}", flush=True)


def _rows(record: Record) -> dict[str, tuple[float, float, float]]:
    """Return score and interval of the model and of its controls."""
    metric, metrics = record.first_metric, record.metrics or {}
    found = {PRETRAINED: (metrics[metric], metrics[f"{metric}_ci_low"], metrics[f"{metric}_ci_high"])}
    controls = {name: control for name, control in record.baselines.items() if control}
    return found | {name: (one.score, one.ci_low, one.ci_high) for name, one in controls.items()}


def mean_with_interval(gains: Sequence[float]) -> str:
    """Show the mean, and where there are several its 95 % interval (Student's t)."""
    mean = statistics.fmean(gains)
    if len(gains) == 1:
        return f"{mean:+.3f}"
    from scipy.special import stdtrit

    reach = stdtrit(len(gains) - 1, 0.975) * statistics.stdev(gains) / math.sqrt(len(gains))
    return f"{mean:+.3f} [{mean - reach:+.3f}, {mean + reach:+.3f}], mean of {len(gains)}"
