"""PyTorch in float32, on the device where the network is: the reference that other engines are measured against."""

from __future__ import annotations

import torch

from headstart.cut import Features, FrozenPart, to_device
from headstart.engines.contract import Engine, Runner


class TorchEngine(Engine):
    name = "torch"

    @property
    def numerics(self) -> str:
        instructions = torch.backends.cpu.get_cpu_capability()
        return f"torch {torch.__version__} float32 {torch.get_num_threads()} threads {instructions}"

    def available(self) -> bool:
        return True

    def prepare(self, frozen: FrozenPart, sample: Features) -> Runner:
        if frozen.device.type == "cpu":
            return frozen
        return lambda inputs: to_device(frozen(to_device(inputs, frozen.device)), torch.device("cpu"))


engine = TorchEngine()
