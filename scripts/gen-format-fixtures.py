#!/usr/bin/env python3
"""Regenerates test/fixtures/formats/ with the real Python libraries.

Needs numpy, safetensors and torch. The tests compare with these files byte for byte, or read them; they need no Python.

    python scripts/gen-format-fixtures.py [output folder]

expected.json tells for each file what a reader must find: dtype, shape, and the elements' bytes in C order, little-endian, in hex.
Malicious pickles are written as bytes: nothing here runs them.
"""

import io
import json
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "test" / "fixtures" / "formats"

TORCH_NAMES = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.int32: "int32",
    torch.int64: "int64",
    torch.uint8: "uint8",
    torch.bool: "bool",
}
FLOATS = [0.0, -0.0, 1.5, -2.25, float("inf"), float("nan")]
INTEGERS = {"int32": [-(2**31), 2**31 - 1, -1, 0, 1, 7], "int64": [-(2**63), 2**63 - 1, -1, 0, 1, 7]}

files = {}
expected = {}


def values(dtype):
    """Six elements with the dtype's extremes, as a tensor of shape (2, 3)."""
    name = TORCH_NAMES[dtype]
    if name == "uint8":
        items = [0, 255, 1, 2, 3, 128]
    elif name == "bool":
        items = [True, False, False, True, True, False]
    else:
        items = INTEGERS.get(name, FLOATS)
    return torch.tensor(items, dtype=dtype).reshape(2, 3)


def describe(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return {"dtype": TORCH_NAMES[tensor.dtype], "shape": list(tensor.shape), "hex": data.hex()}


def describe_numpy(array):
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return {"dtype": array.dtype.newbyteorder("=").name, "shape": list(array.shape), "hex": little.tobytes().hex()}


def write(name, data, content=None):
    files[name] = data
    if content is not None:
        expected[name] = content


def all_dtypes():
    tensors = {f"x.{name}": values(dtype) for dtype, name in TORCH_NAMES.items()}
    tensors["scalar"] = torch.tensor(3.5)
    tensors["empty"] = torch.zeros(2, 0, 3)
    return tensors


def safetensors_files():
    tensors = all_dtypes()
    names = ["", "__proto__", "constructor", 'quote " backslash \\ newline \n', "\u00e9", "\ue000", "\U0001f600", "\x01\x7f", "ends in \\"]
    tensors |= {name: torch.tensor([i], dtype=torch.uint8) for i, name in enumerate(names)}
    content = {name: describe(tensor) for name, tensor in tensors.items()}
    write("all.safetensors", safetensors.torch.save(tensors), content)
    write("metadata.safetensors", safetensors.torch.save({"w": values(torch.float32)}, {"format": "pt\n\u00e9"}))
    write("empty.safetensors", safetensors.numpy.save({}))
    odd = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    assert len(odd) % 4 != 0
    unpadded = struct.pack("<Q", len(odd)) + odd + struct.pack("<f", 1.5)
    write("unpadded.safetensors", unpadded, {"w": describe(torch.tensor(safetensors.numpy.load(unpadded)["w"]))})


def npy_bytes(array, version=None):
    file = io.BytesIO()
    if version is None:
        np.save(file, array)
    else:
        np.lib.format.write_array(file, array, version)
    return file.getvalue()


def full_header_shape():
    """A shape whose header would end on a multiple of 64 bytes without padding: NumPy then pads by 64 more."""
    for axes in range(1, 33):
        for last in [1, 10, 100]:
            shape = (0,) + (1,) * (axes - 1) + (last,)
            header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
            if (len(header) + 10 + 20 + 1) % 64 == 0:
                return shape
    raise AssertionError("no such shape")


def npy_files():
    for dtype, name in TORCH_NAMES.items():
        if name == "bfloat16":
            continue
        array = values(dtype).numpy()
        write(f"{name}.npy", npy_bytes(array), describe_numpy(array))
        swapped = array.astype(array.dtype.newbyteorder(">"))
        write(f"{name}-big-endian.npy", npy_bytes(swapped), describe_numpy(array))
    cube = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    others = {
        "scalar": np.array(3.5, np.float32),
        "empty": np.zeros((2, 0, 3), np.float32),
        "vector": np.arange(3, dtype=np.float32),
        "axes-32": np.zeros((1,) * 32, np.float32),
        "full-header": np.zeros(full_header_shape(), np.float32),
        "long-axis": np.zeros((10**15, 0), np.float32),
        "fortran": np.asfortranarray(cube),
        "fortran-big-endian": np.asfortranarray(cube.astype(">i4")),
    }
    for name, array in others.items():
        write(f"{name}.npy", npy_bytes(array), describe_numpy(array))
    for version in [(2, 0), (3, 0)]:
        write(f"version-{version[0]}.npy", npy_bytes(cube, version), describe_numpy(cube))
    refused = {"int8": np.zeros(1, np.int8), "complex64": np.zeros(1, np.complex64), "object": np.array([None])}
    refused |= {"text": np.array(["a"]), "structured": np.zeros(1, [("a", "<f4"), ("b", "<i4", (2,))])}
    for name, array in refused.items():
        write(f"refused-{name}.npy", npy_bytes(array))


def torch_bytes(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def repack(data, compression=zipfile.ZIP_DEFLATED, change=None, zip64=False):
    """The same archive by Python's zipfile; `change` maps a record's name and bytes to new bytes, or to None."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", compression) as new:
        for info in old.infolist():
            content = old.read(info)
            if change is not None:
                content = change(info.filename.split("/", 1)[1], content)
            if content is None:
                continue
            record = zipfile.ZipInfo(info.filename)
            record.compress_type = compression
            with new.open(record, "w", force_zip64=zip64) as stream:
                stream.write(content)
    return file.getvalue()


def views():
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    return {
        "base": base,
        "transposed": base.permute(2, 0, 1),
        "row": base[1, 2],
        "every-second": base[..., ::2],
        "expanded": torch.tensor([7.0]).expand(2, 3),
    }


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.GELU(), torch.nn.BatchNorm2d(3))
        self.tied = self.net[0].weight


def checkpoint_files():
    tensors = all_dtypes() | {"__proto__": torch.ones(1)}
    content = {name: describe(tensor) for name, tensor in tensors.items()}
    saved = torch_bytes(tensors)
    write("all.pt", saved, content)
    write("all-deflated.pt", repack(saved), content)
    write("all-zip64.pt", repack(saved, zipfile.ZIP_STORED, zip64=True), content)
    for protocol in [3, 4, 5]:
        write(f"protocol-{protocol}.pt", torch_bytes(tensors, pickle_protocol=protocol), content)
    write("no-byteorder.pt", repack(saved, change=lambda name, data: None if name == "byteorder" else data), content)
    sizes = {str(i): t.element_size() for i, t in enumerate(tensors.values())}

    def big_endian(name, data):
        if name == "byteorder":
            return b"big"
        if not name.startswith("data/"):
            return data
        size = sizes[name.removeprefix("data/")]
        return np.frombuffer(data, f"V{size}").view(f"u{size}").byteswap().tobytes() if data else data

    write("big-endian.pt", repack(saved, change=big_endian), content)
    write("views.pt", torch_bytes(views()), {name: describe(tensor) for name, tensor in views().items()})

    torch.manual_seed(0)
    model = Model()
    state = model.state_dict()
    content = {name: describe(tensor) for name, tensor in state.items()}
    write("model.pt", torch_bytes(state), content)
    extra = {"epoch": 3, "loss": 0.5, "big": 2**80, "tags": ("a", None, True), "shape": state["tied"].shape, "list": [1, 2]}
    adam = torch.optim.Adam(model.parameters()).state_dict()
    for key in ["state_dict", "model_state_dict", "model", "ema"]:
        write(f"under-{key}.pt", torch_bytes({key: state, "optimizer": adam} | extra), content)
    parameters = OrderedDict(model.named_parameters())
    write("parameters.pt", torch_bytes(parameters), {name: describe(value) for name, value in parameters.items()})
    write("int8.pt", torch_bytes({"w": torch.zeros(1, dtype=torch.int8)}))
    write("int8-beside.pt", torch_bytes({"state_dict": {"w": torch.ones(1)}, "other": torch.zeros(1, dtype=torch.int8)}))
    write("tensor.pt", torch_bytes(torch.ones(1)))
    write("module.pt", torch_bytes(torch.nn.ReLU()))
    # Its start says what it is; what follows holds addresses of this run.
    write("legacy.pt", torch_bytes({"w": torch.ones(1)}, _use_new_zipfile_serialization=False)[:200])
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), file)
    # The code's records hold paths of this machine.
    write("torchscript.pt", repack(file.getvalue(), change=lambda name, data: None if name.startswith("code/") else data))


def string(text):
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def call(module, name, *arguments):
    return b"c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def malicious_pickles():
    """Programs that a plain unpickler would obey; each must be refused, and the first column must be named."""
    stack_global = b"\x80\x04" + b"\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R."
    nested = call("torch._utils", "_rebuild_tensor_v2", call("os", "system", string("id")))
    getattr_walk = call("__builtin__", "getattr", call("__builtin__", "__import__", string("os")), string("system"))
    as_id = b"(" + string("storage") + b"cos\nsystem\n" + string("0") + string("cpu") + b"K\x01tQ"
    classes = b"cbuiltins\nobject\n)\x81"
    return [
        ("os.system", b"\x80\x02" + call("os", "system", string("id")) + b"."),
        ("posix.system", stack_global),
        ("builtins.eval", b"\x80\x02" + call("builtins", "eval", string("1")) + b"."),
        ("__builtin__.eval", b"\x80\x02" + call("__builtin__", "eval", string("1")) + b"."),
        ("builtins.exec", b"\x80\x02" + call("builtins", "exec", string("1")) + b"."),
        ("subprocess.Popen", b"\x80\x02" + call("subprocess", "Popen", string("id")) + b"."),
        ("runpy._run_code", b"\x80\x02" + call("runpy", "_run_code", string("1")) + b"."),
        ("os.system", b"\x80\x02}" + string("w") + nested + b"s."),
        ("__builtin__.getattr", b"\x80\x02" + getattr_walk + b"."),
        ("os.system", b"\x80\x02" + as_id + b"."),
        ("os.system", b"\x80\x02(" + string("id") + b"ios\nsystem\n."),
        ("builtins.object", b"\x80\x02" + classes + b"."),
        ("torch._utils._rebuild_tensor", b"\x80\x02ctorch._utils\n_rebuild_tensor\n."),
        ("torch.nn.modules.activation.ReLU", b"\x80\x02ctorch.nn.modules.activation\nReLU\n)\x81."),
        ("collections.OrderedDict.__init__", b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93."),
        ("collections.OrderedDict.update", b"\x80\x04\x8c\x0bcollections\x8c\x12OrderedDict.update\x93."),
        ("torch.FloatStorage.from_file", b"\x80\x04\x8c\x05torch\x8c\x16FloatStorage.from_file\x93."),
        ("NEWOBJ", b"\x80\x02ccollections\nOrderedDict\n)\x81."),
        ("NEWOBJ_EX", b"\x80\x04ccollections\nOrderedDict\n)}\x92."),
        ("OBJ", b"\x80\x02(ccollections\nOrderedDict\no."),
        ("EXT1", b"\x80\x02\x82\x01."),
        ("PERSID", b"\x80\x02P0\n."),
        ("the state of a constructor", b"\x80\x02ccollections\nOrderedDict\n}b."),
        ("calls a str", b"\x80\x02" + string("os.system") + b")R."),
        ("calls a storage-type", b"\x80\x02ctorch\nFloatStorage\nK\x01\x85R."),
        ("calls a dict", b"\x80\x02ccollections\nOrderedDict\n)R)R."),
    ]


def main():
    safetensors_files()
    npy_files()
    checkpoint_files()
    listed = [{"names": name, "hex": data.hex()} for name, data in malicious_pickles()]
    plain = {"a": [1, -1, 2**40, -(2**70), 0.1], "b": ("\u00e9", b"\x00\xff", None, True, False), "c": {}, "d": (), 5: [[]]}
    loops = []
    loops.append(loops)
    pickles = [pickle.dumps(value, protocol).hex() for protocol in range(2, 6) for value in (plain, loops)]
    write("pickles.json", (json.dumps({"malicious": listed, "plain": pickles}, indent=1) + "\n").encode())
    write("expected.json", (json.dumps(expected, separators=(",", ":"), sort_keys=True) + "\n").encode())

    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    for name, data in files.items():
        (OUT / name).write_bytes(data)
    print(f"{sum(map(len, files.values()))} bytes in {OUT}")


if __name__ == "__main__":
    main()
