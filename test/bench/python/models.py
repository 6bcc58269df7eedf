"""The layer of one benchmark workload: as documented, and without the repetition of x (the same parameters, the same numbers)."""

import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

BENCH = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BENCH.parent / "fixtures" / "generate"))

import family_reference  # noqa: E402
from reference import TokenLearner  # noqa: E402

WORKLOADS = {name: each for file in ("workloads", "family") for name, each in json.loads((BENCH / f"{file}.json").read_text()).items()}


class TokensOf(nn.Module):
    """The tokens alone of a layer that returns (tokens, maps)."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0]

    def load_state_dict(self, tensors: dict) -> None:
        self.layer.load_state_dict(tensors)


class Unrepeated(nn.Module):
    """One dense convolution on x itself, a grouped one on the hidden layer, and a matrix product for the mean."""

    def __init__(self, layer: TokenLearner):
        super().__init__()
        self.net = layer.net
        self.groups = layer.groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden, gelu, output = self.net
        images = x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])
        maps = output(gelu(F.conv2d(images, hidden.weight, hidden.bias)))
        tokens = images.flatten(2) @ maps.flatten(2).transpose(1, 2) / (x.shape[-2] * x.shape[-1])
        return tokens.reshape(*x.shape[:-2], self.groups)


def made(config: dict) -> nn.Module:
    if "module" not in config:
        return TokenLearner(dim=config["dim"], ff_mult=config["ffMult"], num_output_tokens=config["numOutputTokens"])
    return TokensOf(getattr(family_reference, config["module"])(config["dim"], config["numOutputTokens"]))


def load(workload: str, data: str | None) -> tuple[nn.Module, torch.Tensor]:
    """The documented layer and its input, from a safetensors file (`input`, `net.0.weight`, ...) or from seed 0."""
    config = WORKLOADS.get(workload)
    if config is None:
        raise ValueError(f"unknown workload {workload!r}, expected one of {', '.join(WORKLOADS)}")
    torch.manual_seed(0)
    layer = made(config).eval()
    if data is None:
        return layer.requires_grad_(False), torch.randn(config["shape"])
    tensors = load_file(data)
    x = tensors.pop("input")
    layer.load_state_dict(tensors)
    return layer.requires_grad_(False), x
