"""What the layer is measured against. A peer is made once, outside the timing; `run()` does one forward."""

import statistics
import time
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from export_onnx import export, onnx_path
from models import Unrepeated, load


class Peer(Protocol):
    """`tokens` is the last run's output, or None where the peer computes something else."""

    tokens: torch.Tensor | None
    details: dict

    def run(self) -> None: ...


class Eager:
    """The layer, eagerly; `rewrite` leaves out the repetition of x; `dtype` is that of x, the parameters and the arithmetic."""

    def __init__(self, workload: str, data: str | None, *, rewrite: bool = False, dtype: torch.dtype = torch.float32, **_):
        layer, x = load(workload, data)
        self.x = x.to(dtype)
        self.layer = (Unrepeated(layer) if rewrite else layer).to(dtype)
        self.details, self.tokens = {}, None

    def run(self) -> None:
        with torch.inference_mode():
            self.tokens = self.layer(self.x)


class Compiled(Eager):
    """The same by torch.compile; needs a C++ compiler."""

    def __init__(self, workload: str, data: str | None, **options):
        super().__init__(workload, data, **options)
        self.layer = torch.compile(self.layer)
        self.run()


class OnnxRuntime:
    """onnxruntime's CPU provider; `form` is `repeat` (as documented) or `rewrite`. Exports the model if it does not lie in `folder` yet.

    `int8` quantises the weights to 8 bits, and the inputs of their products at each run.
    """

    def __init__(self, workload: str, data: str | None, *, form: str, folder: str, threads: int, int8: bool = False, **_):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Its threads spin for a while after a run, which would slow down the peer that is measured next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        model = onnx_path(workload, folder, form)
        if not model.exists():
            export(workload, folder, data)
        if int8:
            model = quantised(model)
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        _, x = load(workload, data)
        self.inputs = {"x": x.numpy()}
        self.details, self.output = {}, np.empty(0, np.float32)

    def run(self) -> None:
        (self.output,) = self.session.run(["tokens"], self.inputs)

    @property
    def tokens(self) -> torch.Tensor:
        return torch.from_numpy(self.output)


def quantised(model: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = model.with_name(f"{model.stem}-int8.onnx")
    quantize_dynamic(model, target, weight_type=QuantType.QInt8)
    return target


class Matmul:
    """The bare first matrix product, W1 (G * K, C) times x (C, pixels), by libtorch: no bias, no GELU, nothing after it.

    The floor that the whole layer is compared with. The pixels lie as (image, C, P) or, for all images at once, as (C, B * P); they are
    multiplied in column tiles, each into the same small output. The fastest of the tilings that `setup` tries is the one that runs.
    """

    TILES = (32, 64, 96, 128, 192, 256, 512, 1024)
    TRIALS = 5

    def __init__(self, workload: str, data: str | None, **_):
        layer, x = load(workload, data)
        self.weight = layer.net[0].weight.flatten(1).contiguous()
        images = x.reshape(-1, x.shape[-3], x.shape[-2] * x.shape[-1])
        merged = images.transpose(0, 1).reshape(1, images.shape[1], -1).contiguous()
        layouts = [("images", images), ("merged", merged)] if len(images) > 1 else [("images", images)]
        tilings = []
        for layout, operand in layouts:
            columns = operand.shape[-1]
            tilings += [(layout, operand, tile) for tile in self.TILES if tile < columns] + [(layout, operand, columns)]
        medians = [self.median_of(operand, tile) for _, operand, tile in tilings]
        layout, self.operand, self.tile = tilings[medians.index(min(medians))]
        self.prepare(self.operand, self.tile)
        self.tokens, self.details = None, {"layout": layout, "tile": self.tile, "tilings_tried": len(tilings)}

    def prepare(self, operand: torch.Tensor, tile: int) -> None:
        """The (input, output) pairs of one pass."""
        output = torch.empty(self.weight.shape[0], tile)
        rest = operand.shape[-1] % tile
        last = torch.empty(self.weight.shape[0], rest)
        self.products = [
            (part, output if part.shape[1] == tile else last) for image in operand for part in image.split(tile, dim=1)
        ]

    def median_of(self, operand: torch.Tensor, tile: int) -> float:
        self.prepare(operand, tile)
        self.run()
        times = []
        for _ in range(self.TRIALS):
            started = time.perf_counter()
            self.run()
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    def run(self) -> None:
        with torch.inference_mode():
            for part, output in self.products:
                torch.mm(self.weight, part, out=output)


PEERS = {
    "eager": Eager,
    "eager-rewrite": partial(Eager, rewrite=True),
    "compile": Compiled,
    "compile-rewrite": partial(Compiled, rewrite=True),
    "onnxruntime-repeat": partial(OnnxRuntime, form="repeat"),
    "onnxruntime-rewrite": partial(OnnxRuntime, form="rewrite"),
    "matmul": Matmul,
    "eager-bfloat16": partial(Eager, dtype=torch.bfloat16),
    "eager-rewrite-bfloat16": partial(Eager, rewrite=True, dtype=torch.bfloat16),
    "compile-bfloat16": partial(Compiled, dtype=torch.bfloat16),
    "compile-rewrite-bfloat16": partial(Compiled, rewrite=True, dtype=torch.bfloat16),
    "onnxruntime-rewrite-int8": partial(OnnxRuntime, form="rewrite", int8=True),
}


def exact_tokens(workload: str, data: str | None) -> torch.Tensor:
    layer, x = load(workload, data)
    with torch.inference_mode():
        return Unrepeated(layer.double())(x.double())
