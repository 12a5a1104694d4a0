"""An engine: PyTorch in float64, given back as float32."""

from __future__ import annotations

import copy

import torch

from headstart.cut import Features, FrozenPart
from headstart.engines.contract import Engine, Runner


class Double(Engine):
    name = "toy-engine"

    @property
    def numerics(self) -> str:
        return f"toy-engine torch {torch.__version__} float64 {torch.get_num_threads()} threads"

    def available(self) -> bool:
        return True

    def prepare(self, frozen: FrozenPart, sample: Features) -> Runner:
        double = copy.deepcopy(frozen).double()

        def run(inputs: Features) -> Features:
            wide = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in inputs.items()}
            found = double(wide)
            return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in found.items()}

        return run


engine = Double()
