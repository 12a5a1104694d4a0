"""OpenVINO in float32: the frozen part as an optimised inference graph."""

from __future__ import annotations

import os
import warnings
from importlib.metadata import version
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from headstart.cut import Features, FrozenPart
from headstart.engines.contract import Engine, Runner
from headstart.errors import MissingExtra, ModelError


class _Positional(nn.Module):
    """OpenVINO traces tensors by position, not by name."""

    def __init__(self, frozen: FrozenPart, reads: list[str], writes: list[str]) -> None:
        super().__init__()
        self.frozen, self.reads, self.writes = frozen, reads, writes

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        features = self.frozen(dict(zip(self.reads, tensors, strict=True)))
        return tuple(features[name] for name in self.writes)


class OpenVinoEngine(Engine):
    name = "openvino"

    @property
    def numerics(self) -> str:
        instructions = torch.backends.cpu.get_cpu_capability()
        return f"openvino {version('openvino')} float32 {os.cpu_count()} threads {instructions}"

    def available(self) -> bool:
        return find_spec("openvino") is not None

    def prepare(self, frozen: FrozenPart, sample: Features) -> Runner:
        if not self.available():
            raise MissingExtra("openvino", "openvino")
        reads = [name for name in frozen.reads if name in sample]
        # An optional input that the sample lacks, and no block writes, does not cross either.
        writes = [name for name in frozen.writes if name in sample or name not in frozen.reads]
        compiled = _compile(_Positional(frozen, reads, writes), {name: sample[name] for name in reads})

        def run(inputs: Features) -> Features:
            results = compiled([inputs[name].numpy() for name in reads])
            return {
                name: torch.from_numpy(results[index].copy()).to(_dtype(inputs, name))
                for index, name in enumerate(writes)
            }

        return run


def _dtype(inputs: Features, name: str) -> torch.dtype:
    """A tensor that only passes through (a mask) keeps its type; all others are float32."""
    return inputs[name].dtype if name in inputs else torch.float32


def _compile(network: _Positional, inputs: Features):
    os.environ.setdefault("OPENVINO_TELEMETRY", "0")
    import openvino

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every shape it reads
            model = openvino.convert_model(network, example_input=tuple(inputs.values()))
        for port, (name, tensor) in zip(model.inputs, inputs.items(), strict=True):
            port.get_node().set_partial_shape(_dynamic(openvino, tensor, ragged=network.frozen.specs[name].ragged))
        model.validate_nodes_and_infer_types()
        return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except Exception as error:  # the converter raises its own, undocumented types
        raise ModelError(
            f"OpenVINO cannot run this network: {str(error).splitlines()[0][:160]}", "use `--engine torch`"
        ) from error


def _dynamic(openvino, tensor: Tensor, *, ragged: bool):
    """Batch and ragged lengths vary from batch to batch; the sizes of pictures and spectrograms do not."""
    shape = list(tensor.shape[1:])
    return openvino.PartialShape([-1, -1, *shape[1:]] if ragged else [-1, *shape])


engine = OpenVinoEngine()
