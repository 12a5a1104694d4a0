"""Load a saved model in a fresh process and write what it computes: `python -m headstart.verify MODEL INPUTS LOGITS`.

Both files are safetensors. The logits are those of headstart and of the transformers class that config.json names.
"""

from __future__ import annotations

import sys

import torch


def main(folder: str, inputs: str, logits: str) -> None:
    """Write the logits of both readers for a batch of inputs."""
    from safetensors.torch import load_file, save_file

    from headstart import hub
    from headstart.model import load

    batch = load_file(inputs)
    model = load(folder)
    form = model.backbone.family.stock_form(model.head.name, model.task.full_name)
    reader = form.network_class() if form else hub.HeadstartForClassification
    with torch.no_grad():
        logits_of_reader = reader.from_pretrained(folder).eval()(**batch).logits
    save_file(
        {"headstart": torch.from_numpy(model.uncut_logits(batch)), "transformers": logits_of_reader.contiguous()},
        logits,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
