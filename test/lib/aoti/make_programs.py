"""Compiles small PyTorch programs with AOTInductor, for the tests of AotiModel.

    python make_programs.py FOLDER NAME ...

Writes FOLDER/NAME.pt2, and FOLDER/NAME.npz with what PyTorch computes with that very package: for each batch in BATCHES the inputs `4.in.0`, `4.in.1`, ... and the
outputs `4.out.0`, ... in the order of the output tree's leaves. bfloat16 values are stored as float32. FOLDER/NAME.json has the names of constants.
A program that needs more has it under keys of its own: see its class.
"""

import json
import os
import sys
import zipfile
from pathlib import Path

import numpy
import torch
from torch import nn
from torch.export import Dim, export

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "python"))
from export import PlainViT  # noqa: E402

BATCHES = (1, 2, 4, 7)


class Conv(nn.Module):
    """A convolutional net: (B, 3, 16, 16) to (B, 5)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))

    @staticmethod
    def inputs(batch):
        return (torch.randn(batch, 3, 16, 16),)


class ViT(PlainViT):
    """A vision transformer as a backbone: (B, 3, 32, 32) to the feature map (B, 32, 4, 4)."""

    def __init__(self):
        super().__init__(image=32, patch=8, dim=32, depth=2, heads=2)

    @staticmethod
    def inputs(batch):
        return (torch.randn(batch, 3, 32, 32),)


class Record(nn.Module):
    """Two inputs, a nested record of three outputs, the last of them int64."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 6)

    def forward(self, x, y):
        hidden = self.linear(x)
        return {"sum": hidden + y, "parts": (hidden * 2, [y.argmax(-1)])}

    @staticmethod
    def inputs(batch):
        return (torch.randn(batch, 4), torch.randn(batch, 6))


class Words(nn.Module):
    """int64 ids below 11 and a bool mask, both (B, 5), to (B, 8). An id of 11 or more is an error at run time."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 8)

    def forward(self, ids, mask):
        return (self.table(ids) * mask.unsqueeze(-1)).sum(1)

    @staticmethod
    def inputs(batch):
        return (torch.randint(0, 11, (batch, 5)), torch.rand(batch, 5) > 0.3)


class Weights(nn.Module):
    """Weights and a buffer that can be replaced: `new.<name>` in the .npz are others, `new.in.0` and `new.out.0` a run with them. (B, 16) to (B, 12).

    The compiler writes constants of 8 elements or fewer into the code, where they cannot be replaced: these have more.
    """

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 12))
        self.register_buffer("scale", torch.randn(12))

    def forward(self, x):
        return self.layers(x) * self.scale

    @staticmethod
    def inputs(batch):
        return (torch.randn(batch, 16),)


class Throws(nn.Module):
    """Throws at run time where `limit` is over 8: (B, 4) and an int64 of no dimensions, to (B, 4)."""

    def forward(self, x, limit):
        count = limit.item()
        torch._check(count <= 8)
        torch._check(count >= 0)
        return x * count

    @staticmethod
    def inputs(batch):
        return (torch.randn(batch, 4), torch.tensor(batch))


class Half(nn.Module):
    """bfloat16 in and out: (B, 16) to (B, 8)."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 8)
        self.to(torch.bfloat16)

    def forward(self, x):
        return torch.tanh(self.linear(x))

    @staticmethod
    def inputs(batch):
        return (torch.randn(batch, 16, dtype=torch.bfloat16),)


class Same(nn.Module):
    """Outputs that are an input, a constant and a view: (B, 16) to [(B, 16), (16,), (16, B)]."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16))

    def forward(self, x):
        return [x, self.weight, x.T]

    @staticmethod
    def inputs(batch):
        return (torch.randn(batch, 16),)


class Optional(nn.Module):
    """None among the outputs: (B, 16) to [(B, 16), None, {"mean": (B,)}]."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16))

    def forward(self, x):
        return [x * self.weight, None, {"mean": x.mean(1)}]

    @staticmethod
    def inputs(batch):
        return (torch.randn(batch, 16),)


PROGRAMS = {
    "conv": Conv,
    "vit": ViT,
    "record": Record,
    "words": Words,
    "weights": Weights,
    "throws": Throws,
    "half": Half,
    "same": Same,
    "optional": Optional,
    "blob": Weights,
    "pickled": Weights,
}
# Weights that lie beside the library.
OPTIONS = {
    "blob": {"aot_inductor.package_constants_in_so": False, "aot_inductor.package_constants_on_disk_format": "binary_blob"},
    "pickled": {"aot_inductor.package_constants_in_so": False, "aot_inductor.package_constants_on_disk_format": "pickle_weights"},
}
# Not a program of its own: conv and record in one archive, as the models 'conv' and 'record'.
SEVERAL = ("several", ("conv", "record"))


def array(value: torch.Tensor) -> numpy.ndarray:
    return (value.float() if value.dtype == torch.bfloat16 else value).contiguous().numpy()


def run(package, inputs) -> list[torch.Tensor]:
    return [leaf.clone() for leaf in torch.utils._pytree.tree_leaves(package(*inputs)) if leaf is not None]


def add_run(arrays: dict, key: str, inputs, outputs) -> None:
    arrays.update({f"{key}.in.{i}": array(value) for i, value in enumerate(inputs)})
    arrays.update({f"{key}.out.{i}": array(value) for i, value in enumerate(outputs)})


def compile_program(folder: Path, name: str) -> None:
    torch.manual_seed(0)
    model = PROGRAMS[name]().eval()
    inputs = model.inputs(2)
    batch = Dim("batch", min=1, max=1024)
    shapes = tuple({0: batch} if value.ndim > 0 else {} for value in inputs)
    program = export(model, inputs, dynamic_shapes=shapes)
    file = folder / f"{name}.pt2"
    torch._inductor.aoti_compile_and_package(program, package_path=str(file), inductor_configs=OPTIONS.get(name, {}))
    package = torch._inductor.aoti_load_package(str(file))
    if name == "pickled":
        package.load_constants(dict(model.state_dict()), check_full_update=True)
    arrays: dict[str, numpy.ndarray] = {}
    for size in BATCHES:
        inputs = model.inputs(size)
        add_run(arrays, str(size), inputs, run(package, inputs))
    if isinstance(model, Weights):
        other = {key: torch.randn_like(value) for key, value in model.state_dict().items()}
        package.load_constants(dict(other), check_full_update=True)
        inputs = model.inputs(4)
        add_run(arrays, "new", inputs, run(package, inputs))
        arrays.update({f"new.{key}": array(value) for key, value in other.items()})
        arrays.update({f"old.{key}": array(value) for key, value in model.state_dict().items()})
    numpy.savez(folder / f"{name}.npz", **arrays)
    (folder / f"{name}.json").write_text(json.dumps({"constants": sorted(package.get_constant_fqns())}))


def combine(folder: Path, name: str, parts) -> None:
    """One archive of several, by torch's own writer."""
    from torch._inductor.package import package_aoti

    models = {}
    for part in parts:
        unpacked = folder / f"{part}-unpacked"
        with zipfile.ZipFile(folder / f"{part}.pt2") as archive:
            archive.extractall(unpacked)
        models[part] = [str(file) for file in sorted(unpacked.glob("*/data/aotinductor/model/*"))]
    package_aoti(str(folder / f"{name}.pt2"), models)


def main(folder: Path, names) -> None:
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
    torch.set_num_threads(2)
    for name in names:
        if name == SEVERAL[0]:
            combine(folder, *SEVERAL)
        else:
            compile_program(folder, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
