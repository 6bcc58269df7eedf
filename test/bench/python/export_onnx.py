#!/usr/bin/env python3
"""Exports one workload's layer to ONNX twice: `repeat` as documented, `rewrite` without the repetition of x (see models.Unrepeated).

    python export_onnx.py WORKLOAD FOLDER [--data FILE.safetensors]

writes FOLDER/WORKLOAD-repeat.onnx and FOLDER/WORKLOAD-rewrite.onnx, weights inside; input `x`, output `tokens`, float32, static shapes.
"""

import argparse
import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from models import WORKLOADS, TokenLearner, Unrepeated, load

OPSET = 20  # The first with Gelu as one operator.


def onnx_path(workload: str, folder: str, form: str) -> Path:
    return Path(folder) / f"{workload}-{form}.onnx"


def export(workload: str, folder: str, data: str | None = None) -> dict[str, str]:
    """{form: path}. An existing file is overwritten."""
    layer, x = load(workload, data)
    models = {"repeat": layer}
    if isinstance(layer, TokenLearner):
        models["rewrite"] = Unrepeated(layer)
    Path(folder).mkdir(parents=True, exist_ok=True)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    paths = {}
    for form, model in models.items():
        path = onnx_path(workload, folder, form)
        # The exporter reports its progress on stdout, which belongs to the caller.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model, (x,), dynamo=True, opset_version=OPSET, input_names=["x"], output_names=["tokens"]
            )
        program.save(path, external_data=False)
        paths[form] = str(path)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=sorted(WORKLOADS))
    parser.add_argument("folder")
    parser.add_argument("--data", help="safetensors file with `input` and the parameters; without it seed 0")
    arguments = parser.parse_args()
    for path in export(arguments.workload, arguments.folder, arguments.data).values():
        print(path)


if __name__ == "__main__":
    main()
