"""Where networks run: on the processor, or on a graphics card that PyTorch knows."""

from __future__ import annotations

from headstart.errors import MachineError, UsageError, nearest

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str) -> str:
    """Return `cpu`, `cuda` or `mps`; `auto` is a CUDA card where there is one, else the processor.

    Raises:
        UsageError: there is no such kind of device. MachineError: this machine has none.
    """
    import torch

    if name not in DEVICES:
        raise UsageError(f"there is no device `{name}`", nearest(name, DEVICES))
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return "cuda" if present["cuda"] else "cpu"
    if not present[name]:
        raise MachineError(
            f"the device `{name}` is not on this machine, or this PyTorch was built without it",
            "use `--device cpu`, or install the PyTorch build for your card",
        )
    return name
