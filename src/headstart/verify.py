"""Load a saved model in a fresh process and write what it computes: `python -m headstart.verify MODEL INPUTS LOGITS`.

Both files are safetensors. The logits are those of headstart, and of the transformers class that config.json names on
one example after the other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch

from headstart.backbones.contract import Backbone
from headstart.cut import Features


def main(folder: str, inputs: str, logits: str) -> None:
    """Write the logits of both readers for a batch of inputs."""
    from safetensors.torch import load_file, save_file

    from headstart import hub
    from headstart.model import load

    batch = load_file(inputs)
    model = load(folder)
    form = model.stock_form
    reader = form.network_class() if form else hub.HeadstartForClassification
    network = reader.from_pretrained(folder).eval()
    with torch.no_grad():
        rows = [network(**one).logits[0] for one in one_by_one(batch, model.backbone)]
    theirs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)  # one row an example, or one a step of it
    save_file({"headstart": torch.from_numpy(model.uncut_logits(batch)), "transformers": theirs.contiguous()}, logits)


def one_by_one(batch: Features, backbone: Backbone) -> Iterator[Features]:
    """Yield each example of a padded batch alone and without padding, as pipelines of transformers run it."""
    mask = next((batch[name] for name, spec in backbone.inputs.items() if spec.kind == "mask"), None)
    for place in range(len(next(iter(batch.values())))):
        one = {name: tensor[place : place + 1] for name, tensor in batch.items()}
        yield {
            name: tensor[:, : int(mask[place].sum())] if mask is not None and backbone.inputs[name].ragged else tensor
            for name, tensor in one.items()
        }


if __name__ == "__main__":
    main(*sys.argv[1:])
