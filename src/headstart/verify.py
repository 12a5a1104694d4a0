"""Load a saved model in a fresh process and write what it computes: `python -m headstart.verify MODEL INPUTS LOGITS`.

Both files are safetensors. The logits are those of headstart and of the class that config.json names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch


def main(folder: str, inputs: str, logits: str) -> None:
    """Write the logits of both readers for a batch of inputs."""
    from safetensors.torch import load_file, save_file

    from headstart.model import load

    batch = load_file(inputs)
    model = load(folder)
    with torch.no_grad():
        by_transformers = _class_of(Path(folder)).from_pretrained(folder, dtype=torch.float32).eval()(**batch).logits
    save_file(
        {
            "headstart": torch.from_numpy(model.uncut_logits(batch)),
            "transformers": by_transformers.contiguous(),
        },
        logits,
    )


def _class_of(folder: Path):
    import transformers

    from headstart import hub

    architecture = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"][0]
    return getattr(hub, architecture, None) or getattr(transformers, architecture)


if __name__ == "__main__":
    main(*sys.argv[1:])
