#!/usr/bin/env python3
"""Writes lib/doctor/reference.json: one small TokenLearner in float64 PyTorch, for the numeric self-test of `tokenlearner doctor`.

Weights and input come from scripts/fixtures/lcg.py, so that only the outputs are stored. The tolerance is the project's rule for
float32: twice PyTorch's own float32 error, at least 2.5e-7.
"""

import json
from pathlib import Path

import torch
from fixtures.lcg import Lcg
from reference import TokenLearner, relative_l2_error

SEED, DIM, FF_MULT, GROUPS, HEIGHT, WIDTH = 20210621, 16, 2, 4, 7, 9
FLOOR = 2.5e-7
TARGET = Path(__file__).resolve().parent.parent / "lib" / "doctor" / "reference.json"


def build() -> tuple[TokenLearner, torch.Tensor]:
    """In the order of the state dict, then the input; scales are powers of two near 1 / sqrt(fan-in)."""
    lcg = Lcg(SEED)
    model = TokenLearner(dim=DIM, ff_mult=FF_MULT, num_output_tokens=GROUPS)
    scales = {"net.0.weight": 0.25, "net.0.bias": 0.25, "net.2.weight": 0.125, "net.2.bias": 0.125}
    state = {
        name: lcg.tensor(list(value.shape), scales[name], torch.float32) for name, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model, lcg.tensor([1, DIM, HEIGHT, WIDTH], 1, torch.float32)


@torch.no_grad()
def main() -> None:
    model, x = build()
    single, maps = model(x, return_attention=True)
    exact, exact_maps = model.double()(x.double(), return_attention=True)
    errors = [relative_l2_error(single, exact), relative_l2_error(maps, exact_maps)]
    value = {
        "seed": SEED,
        "dim": DIM,
        "ffMult": FF_MULT,
        "numOutputTokens": GROUPS,
        "height": HEIGHT,
        "width": WIDTH,
        "tolerance": max(FLOOR, 2 * max(errors)),
        "tokens": exact.flatten().tolist(),
        "attention": exact_maps.flatten().tolist(),
    }
    TARGET.write_text(json.dumps(value) + "\n")


if __name__ == "__main__":
    main()
