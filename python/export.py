"""Exports a PyTorch module to a .pt2 package that tokenlearner runs in Node, without Python: torch.export, then AOTInductor.

Long because it is one file that users copy.

    python export.py MODEL OUT.pt2 [options]

MODEL is one of
    net.py:make        a file and a function in it (or a module object). It returns the module, or (module, example inputs), or
                       (module, example inputs, dynamic_shapes as torch.export takes them)
    timm:NAME          a model of timm, such as timm:vit_small_patch16_224; --features gives its feature map (B, C, H, W), as TokenLearner takes it
    plain-vit          the small ViT of this file, without trained weights, to try things out: a feature map (B, 384, 14, 14)

Examples
    python export.py timm:vit_small_patch16_224 --features --pretrained backbone.pt2
    python export.py net.py:make --input x:float32:3,64,64 net.pt2
    python export.py timm:vit_small_patch16_224 --features --pretrained --token-learner weights.safetensors --head weights.safetensors whole.pt2

The first dimension of every input is the batch, of any size. The signature (names, dtypes, shapes, the version of torch) goes into the package's metadata, where
AotiModel.load reads it. Needs torch 2.11 or later and a C++ compiler; for CUDA a CUDA build of torch and a GPU like the one that will run it.
"""

import argparse
import importlib.util
import inspect
import json
import math
import os
import re
import struct
import sys
from itertools import pairwise
from pathlib import Path

METADATA_KEY = "tokenlearner"
METADATA_VERSION = 1
LARGEST_SIZE = 2**53
LONGEST_NAME = 256
# The dtypes of tokenlearner's tensors.
DTYPES = ("float32", "float64", "float16", "bfloat16", "int32", "int64", "uint8", "bool")
# The processors that the code is to run on, as the C++ compiler names them; and PyTorch's name of their instruction set.
CPU_LEVELS = {"x86-64-v3": "avx2", "x86-64-v4": "avx512"}


SMALLEST_BATCH = 2


def parse_arguments(argv):
    parser = argparse.ArgumentParser(prog="export.py", description=(__doc__ or "").replace("Long because it is one file that users copy.\n\n", ""), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="FILE.py:FUNCTION, timm:NAME or plain-vit")
    parser.add_argument("out", help="the package to write, OUT.pt2")
    parser.add_argument(
        "--input",
        action="append",
        metavar="[NAME:][DTYPE:]SIZES",
        help="an input without its batch dimension, such as x:float32:3,224,224; once for each input",
    )
    parser.add_argument("--batch", type=int, help="the size of batch to trace with, at least 2 (default: 2)")
    parser.add_argument("--batch-max", type=int, help="the largest batch (default: no limit)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--cpu", choices=tuple(CPU_LEVELS), help="the oldest processors to run on (default: those like this one)")
    parser.add_argument("--dtype", choices=("float32", "float64", "float16", "bfloat16"), help="convert the module and its float inputs (default: as they are)")
    parser.add_argument("--weights", metavar="FILE", help="a state dict for the module, .safetensors or torch.save's")
    parser.add_argument("--pretrained", action="store_true", help="timm: with trained weights, from the network")
    parser.add_argument("--features", action="store_true", help="timm: the feature map (B, C, H, W) instead of the classes")
    parser.add_argument("--token-learner", metavar="FILE", help="put a TokenLearner with these weights after the module, into one program")
    parser.add_argument("--head", metavar="FILE", help="put a Linear layer with these weights after the flattened tokens")
    parser.add_argument("--no-check", action="store_true", help="do not compare the package with the module")
    return parser.parse_args(argv)


ARGUMENTS = parse_arguments(sys.argv[1:]) if __name__ == "__main__" else None
if ARGUMENTS is not None and ARGUMENTS.cpu is not None:
    # torch reads it when it is imported.
    os.environ["ATEN_CPU_CAPABILITY"] = CPU_LEVELS[ARGUMENTS.cpu]

try:
    import torch
    from torch import nn
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir
    from torch.utils import _pytree as pytree
except ModuleNotFoundError as error:
    sys.exit(f"export.py: {sys.executable} needs torch 2.11 or later: {error}")


class Problem(Exception):
    """Something that the user can change."""


NOT_TENSORS = "the inputs and outputs of the module must all be tensors, or trees of tensors"


# The modules.


class TokenLearner(nn.Module):
    """Tokens (B, C, G) of a feature map (B, C, H, W): the computation of tokenlearner's TokenLearner, from operators of PyTorch."""

    def __init__(self, dim: int, tokens: int, ff_mult: int, layers: int):
        super().__init__()
        self.groups = tokens
        widths = [dim, *[ff_mult * dim] * (layers - 1), 1]
        parts: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            parts += [nn.Conv2d(inputs * tokens, outputs * tokens, 1, groups=tokens), nn.GELU()]
        self.net = nn.Sequential(*parts[:-1])

    def forward(self, x):
        repeated = x.repeat(1, self.groups, 1, 1)
        attention = self.net(repeated)
        product = repeated.unflatten(1, (self.groups, x.shape[1])).transpose(1, 2) * attention.unsqueeze(1)
        return product.mean(dim=(-2, -1))


class Whole(nn.Module):
    """A backbone, a TokenLearner and a head, as one program."""

    def __init__(self, backbone, learner, head):
        super().__init__()
        self.backbone, self.learner, self.head = backbone, learner, head

    def forward(self, x):
        tokens = self.learner(self.backbone(x))
        return tokens if self.head is None else self.head(tokens.flatten(1))


class PlainBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        batch, count, dim = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(batch, count, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(mixed.transpose(1, 2).reshape(batch, count, dim))
        return x + self.mlp(self.norm2(x))


class PlainViT(nn.Module):
    """The shape of ViT-S/16, without a class token: (B, 3, image, image) to the feature map (B, dim, image / 16, image / 16)."""

    def __init__(self, image=224, patch=16, dim=384, depth=12, heads=6):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, patch, stride=patch)
        self.position = nn.Parameter(torch.randn(1, (image // patch) ** 2, dim) * 0.02)
        self.blocks = nn.Sequential(*[PlainBlock(dim, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)

    def forward(self, x):
        map = self.patch(x)
        tokens = self.norm(self.blocks(map.flatten(2).transpose(1, 2) + self.position))
        return tokens.transpose(1, 2).reshape(map.shape)


class TimmFeatures(nn.Module):
    """The last feature map (B, C, H, W) of a model of timm."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.prefix = getattr(model, "num_prefix_tokens", 0)
        self.grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
        self.is_last = getattr(model, "output_fmt", "") == "NHWC"

    def forward(self, x):
        features = self.model.forward_features(x)
        if features.ndim == 3:
            tokens = features[:, self.prefix :].transpose(1, 2)
            return tokens.reshape(tokens.shape[0], tokens.shape[1], *self.grid)
        return features.permute(0, 3, 1, 2).contiguous() if self.is_last else features


# Weights.


def demand_file(file: str) -> None:
    if not Path(file).is_file():
        raise Problem(f"there is no file {file}")


SAFETENSORS_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def load_state_dict(file: str) -> dict[str, torch.Tensor]:
    """A state dict of tensors; code in the file does not run."""
    demand_file(file)
    if not file.endswith(".safetensors"):
        return torch.load(file, map_location="cpu", weights_only=True)
    data = Path(file).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype = SAFETENSORS_DTYPES.get(entry["dtype"])
        if dtype is None:
            raise Problem(f"{file}: the dtype {entry['dtype']} of {name} is not supported")
        start, end = entry["data_offsets"]
        part = bytearray(data[8 + length + start : 8 + length + end])
        tensors[name] = torch.frombuffer(part, dtype=dtype).reshape(entry["shape"]) if part else torch.empty(entry["shape"], dtype=dtype)
    return tensors


def token_learner_from(state: dict[str, torch.Tensor], file: str) -> TokenLearner:
    """The TokenLearner whose weights a state dict holds, alone or under one prefix."""
    prefixes = {name.removesuffix("net.0.weight") for name in state if name.endswith("net.0.weight")}
    if len(prefixes) != 1:
        raise Problem(f"{file} holds the weights of {len(prefixes)} TokenLearners (…net.0.weight); it must be one")
    (prefix,) = prefixes
    own = {name.removeprefix(f"{prefix}net."): value for name, value in state.items() if name.startswith(f"{prefix}net.")}
    weights = [own[f"{index}.weight"] for index in sorted(int(name.split(".")[0]) for name in own if name.endswith(".weight"))]
    dim, tokens = weights[0].shape[1], weights[-1].shape[0]
    ff_mult = weights[0].shape[0] // (tokens * dim) if len(weights) > 1 else 1
    learner = TokenLearner(dim, tokens, ff_mult, len(weights))
    learner.net.load_state_dict(own)
    return learner


def head_from(state: dict[str, torch.Tensor], file: str) -> nn.Linear:
    """The Linear layer whose weights a state dict holds: its only matrix."""
    names = [name for name, value in state.items() if name.endswith("weight") and value.ndim == 2]
    if len(names) != 1:
        raise Problem(f"{file} holds {len(names)} matrices ({', '.join(names)}); the head's must be the only one")
    weight, bias = state[names[0]], state.get(names[0].removesuffix("weight") + "bias")
    head = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    head.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
    return head


# The module and its example inputs.


def load_factory(spec: str):
    """The module of FILE.py:FUNCTION, its example inputs and its dynamic_shapes; None for what the function does not give."""
    file, _, name = spec.rpartition(":")
    demand_file(file)
    if not file.endswith(".py") or name == "":
        raise Problem(f"{spec} is not FILE.py:FUNCTION")
    sys.path.insert(0, str(Path(file).resolve().parent))
    # Dataclasses look their module up. The name is not the file's, which may be that of another module.
    module_spec = importlib.util.spec_from_file_location("export_py_model", file)
    module = sys.modules[module_spec.name] = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    factory = made = getattr(module, name, None)
    if factory is None:
        raise Problem(f"{file} has no {name}")
    if not isinstance(factory, nn.Module):
        try:
            inspect.signature(factory).bind()
        except TypeError as error:
            raise Problem(f"{spec} cannot be called without arguments: {error}") from error
        made = factory()
    made = made if isinstance(made, tuple) else (made,)
    module, inputs, shapes = (*made, None, None, None)[:3]
    if not isinstance(module, nn.Module):
        raise Problem(f"{spec} gave {type(module).__name__} instead of a torch.nn.Module")
    if len(made) > 3:
        raise Problem(f"{spec} gave {len(made)} values instead of the module, example inputs and dynamic_shapes")
    if isinstance(inputs, torch.Tensor):
        inputs = (inputs,)
    if not isinstance(inputs, (tuple, list, type(None))):
        raise Problem(f"{spec} gave {type(inputs).__name__} instead of a tuple of example inputs, one for each parameter of forward")
    return module, inputs, shapes


def load_timm(name: str, features: bool, pretrained: bool):
    try:
        import timm
    except ImportError as error:
        raise Problem(f"timm is not installed ({error}): pip install timm") from error
    except Exception as error:
        raise Problem(f"timm cannot be imported; torchvision and torch must be of one release: {error}") from error
    try:
        model = timm.create_model(name, pretrained=pretrained)
    except Exception as error:
        raise Problem(f"timm cannot create {name}: {error}") from error
    size = model.pretrained_cfg["input_size"]
    return (TimmFeatures(model) if features else model), [("x", "", size)]


def parse_input(text: str):
    """`[NAME:][DTYPE:]SIZES` as (name, dtype or '', sizes)."""
    *head, sizes = text.split(":")
    dtypes = [part for part in head if isinstance(getattr(torch, part, None), torch.dtype)]
    names = [part for part in head if part not in dtypes]
    if len(dtypes) > 1 or len(names) > 1:
        raise Problem(f"--input {text} is not [NAME:][DTYPE:]SIZES")
    if not re.fullmatch(r"(\d+(, *\d+)*)?", sizes):
        raise Problem(f"--input {text}: the sizes are not whole numbers")
    shape = tuple(map(int, sizes.split(","))) if sizes else ()
    return (names[0] if names else ""), (dtypes[0] if dtypes else ""), shape


def float_dtype(module, options) -> torch.dtype:
    """That of --dtype, else of the module's first float parameter or buffer; float32 if it has none."""
    if options.dtype is not None:
        return getattr(torch, options.dtype)
    values = (*module.parameters(), *module.buffers())
    return next((value.dtype for value in values if value.is_floating_point()), torch.float32)


def example(dtype: torch.dtype, shape) -> torch.Tensor:
    if dtype.is_floating_point:
        return torch.randn(shape).to(dtype)
    return torch.zeros(shape, dtype=dtype)


def check_inputs(inputs) -> None:
    leaves = pytree.tree_leaves(inputs)
    if not all(isinstance(value, torch.Tensor) for value in leaves):
        raise Problem(NOT_TENSORS)
    strange = [dtype_name(value) for value in leaves if dtype_name(value) not in DTYPES]
    if strange:
        raise Problem(f"an input has the dtype {strange[0]}, which tokenlearner does not have: it has {', '.join(DTYPES)}")


def too_small(what: str) -> Problem:
    return Problem(f"{what} must be at least {SMALLEST_BATCH}: torch.export treats a size of 1 as a constant")


def check_batch(inputs, batch_max) -> None:
    """All inputs have one batch, which is dynamic and up to `batch_max`."""
    sizes = sorted({value.shape[0] for value in pytree.tree_leaves(inputs) if value.ndim > 0})
    if sizes and sizes[0] < SMALLEST_BATCH:
        raise too_small("the batch of the example inputs, their first dimension,")
    if len(sizes) > 1:
        raise Problem(f"the example inputs have batches of {' and '.join(map(str, sizes))}: give them one, or dynamic_shapes")
    if sizes and batch_max is not None and batch_max < sizes[0]:
        raise Problem(f"--batch-max must be at least {sizes[0]}, the size of batch to trace with")


def make_module(options):
    """The module, its example inputs, names for them (or ''), and dynamic_shapes (or None)."""
    inputs = shapes = None
    described = [parse_input(text) for text in options.input or []]
    if options.model == "plain-vit":
        module, default = PlainViT(), [("x", "", (3, 224, 224))]
    elif options.model.startswith("timm:"):
        module, default = load_timm(options.model.removeprefix("timm:"), options.features, options.pretrained)
    elif ":" in options.model:
        module, inputs, shapes = load_factory(options.model)
        default = []
    else:
        raise Problem(f"{options.model} is neither FILE.py:FUNCTION, timm:NAME nor plain-vit")
    if (options.pretrained or options.features) and not options.model.startswith("timm:"):
        raise Problem("--pretrained and --features are for timm:NAME")
    if options.batch_max is not None and shapes:
        raise Problem("--batch-max and the dynamic_shapes of the function exclude each other")
    if options.weights is not None:
        state = load_state_dict(options.weights)
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise Problem(f"{options.weights} does not fit the module: {error}") from error
    dtype = None if options.dtype is None else getattr(torch, options.dtype)
    module = module.to(dtype=dtype)
    if inputs is None:
        described = described or default
        if not described:
            raise Problem("name the inputs: --input x:float32:3,224,224")
        own = float_dtype(module, options)
        inputs = tuple(example(getattr(torch, kind) if kind else own, (options.batch or SMALLEST_BATCH, *shape)) for _, kind, shape in described)
    elif described or options.batch is not None:
        raise Problem("--input and --batch, and the example inputs of the function, exclude each other")
    check_inputs(inputs)
    if not shapes:
        check_batch(inputs, options.batch_max)
    if options.token_learner is not None:
        if len(inputs) != 1:
            raise Problem("--token-learner is for a module with one input")
        # Names of parameters would be those of the module alone.
        shapes = tuple(shapes.values()) if isinstance(shapes, dict) else shapes
    if dtype is not None:
        inputs = pytree.tree_map(lambda value: value.to(dtype) if value.is_floating_point() else value, inputs)
    return module, tuple(inputs), [name for name, _, _ in described], shapes


def add_learner(module, options):
    if options.token_learner is None:
        if options.head is not None:
            raise Problem("--head needs --token-learner")
        return module
    dtype = float_dtype(module, options)
    learner = token_learner_from(load_state_dict(options.token_learner), options.token_learner).to(dtype)
    head = None if options.head is None else head_from(load_state_dict(options.head), options.head).to(dtype)
    return Whole(module, learner, head)


# The signature.


def bound(value) -> int | None:
    """A bound of a dimension; None for no bound."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return None
    return number if number < LARGEST_SIZE else None


class Dimensions:
    """Describes dimensions. A dynamic one is named by its symbol, the batch's is 'batch'."""

    def __init__(self, program, batch_symbol):
        self.ranges = {str(symbol): (bound(limits.lower), bound(limits.upper)) for symbol, limits in program.range_constraints.items()}
        self.batch_symbol = batch_symbol

    def describe(self, size):
        if isinstance(size, int):
            return size
        name = str(size.node.expr)
        if name not in self.ranges:
            return {"min": 0, "max": None}
        lower, upper = self.ranges[name]
        # torch.export takes no size of 0 for a dynamic one, whatever its bound says.
        return {"name": "batch" if name == self.batch_symbol else name, "min": max(1, lower or 0), "max": upper}


def path_name(path) -> str:
    return ".".join(str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path)


def checked_names(kind: str, names: list[str]) -> list[str]:
    """The names, if AotiModel.load takes them."""
    if len(set(names)) < len(names):
        raise Problem(f"two {kind} have one name: {', '.join(names)}")
    if any(len(name) > LONGEST_NAME for name in names):
        raise Problem(f"the name of one of the {kind} has more than {LONGEST_NAME} characters")
    return names


def leaf_names(spec) -> list[str]:
    tree = pytree.tree_unflatten([0] * spec.num_leaves, spec)
    return [path_name(path) for path, _ in pytree.tree_flatten_with_path(tree)[0]]


def input_names(module, inputs, given) -> list[str]:
    """The names of forward's parameters, or those that the user gave."""
    parameters = [name for name in inspect.signature(module.forward).parameters]
    names = []
    for path, _ in pytree.tree_flatten_with_path(tuple(inputs))[0]:
        index, rest = path[0].idx, path[1:]
        first = given[index] if index < len(given) and given[index] else parameters[index] if index < len(parameters) else f"input_{index}"
        names.append(".".join([first, path_name(rest)]) if rest else first)
    return checked_names("inputs", names)


def fake_values(program, names):
    nodes = {node.name: node for node in program.graph.nodes}
    values = [nodes[name].meta["val"] if name in nodes else None for name in names]
    for value in values:
        if not isinstance(value, torch.Tensor):
            raise Problem(NOT_TENSORS)
    return values


def dtype_name(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def signature(program, names) -> dict:
    """What AotiModel.load reads: names, dtypes and shapes."""
    inputs = fake_values(program, [name if isinstance(name, str) else None for name in program.graph_signature.user_inputs])
    outputs = fake_values(program, [name if isinstance(name, str) else None for name in program.graph_signature.user_outputs])
    first = next((value.shape[0] for value in inputs if value.ndim > 0 and not isinstance(value.shape[0], int)), None)
    dimensions = Dimensions(program, None if first is None else str(first.node.expr))
    described = [
        {"name": name, "dtype": dtype_name(value), "shape": [dimensions.describe(size) for size in value.shape]}
        for name, value in zip(names, inputs, strict=True)
    ]
    if any(isinstance(size, dict) and "name" not in size for entry in described for size in entry["shape"]):
        raise Problem("an input has a size that is computed from another one (such as 2*batch), which is not supported")
    out_names = checked_names("outputs", [name or "output" for name in leaf_names(program.call_spec.out_spec)])
    return {
        "version": METADATA_VERSION,
        "torch": torch.__version__,
        "inputs": described,
        "outputs": [
            {"name": name, "dtype": dtype_name(value), "shape": [dimensions.describe(size) for size in value.shape]}
            for name, value in zip(out_names, outputs, strict=True)
        ],
    }


# Export.


def batch_shapes(inputs, batch_max):
    batch = torch.export.Dim("batch", min=1, max=batch_max)
    return pytree.tree_map(lambda value: {0: batch} if value.ndim > 0 else {}, tuple(inputs))


def compiler_options(options) -> dict:
    if options.cpu is None:
        return {}
    if not hasattr(torch._inductor.config.cpp, "march"):
        raise Problem(f"--cpu needs a later torch than {torch.__version__}")
    return {"cpp.march": options.cpu}


def export_package(module, inputs, names, shapes, options) -> dict:
    """Writes the package. Returns the signature."""
    with torch.no_grad():
        program = torch.export.export(module, inputs, dynamic_shapes=shapes or batch_shapes(inputs, options.batch_max))
        described = signature(program, names)
        torch._inductor.aoti_compile_and_package(
            program,
            package_path=options.out,
            inductor_configs={"aot_inductor.metadata": {METADATA_KEY: json.dumps(described)}, **compiler_options(options)},
        )
    return described


def relative_error(actual, expected) -> float:
    """That of the finite values; infinite if the others are not the same."""
    actual, expected = actual.double(), expected.double()
    finite = expected.isfinite()
    if not torch.equal(actual.isfinite(), finite) or not torch.allclose(actual[~finite], expected[~finite], equal_nan=True):
        return math.inf
    difference, size = (actual - expected)[finite].norm().item(), expected[finite].norm().item()
    return difference / size if size > 0 else difference


def tolerance(values) -> float:
    """The largest relative error of a sound package: half the digits of the coarsest float dtype. A GPU may compute float32 in TF32."""
    floats = [value for value in values if value.is_floating_point()]
    eps = max((torch.finfo(value.dtype).eps for value in floats), default=torch.finfo(torch.float32).eps)
    return max(eps, 2**-10 if any(value.is_cuda for value in floats) else 0) ** 0.5


def check_package(file, module, inputs) -> float:
    """The largest relative error of the package's outputs, over those of the module."""
    package = torch._inductor.aoti_load_package(file)
    with torch.no_grad():
        actual, expected = pytree.tree_leaves(package(*inputs)), pytree.tree_leaves(module(*inputs))
    error = max(map(relative_error, actual, expected), default=0.0)
    most = tolerance([*module.parameters(), *pytree.tree_leaves(inputs), *expected])
    if error > most:
        raise Problem(
            f"{file} is written, but its outputs are not the module's: relative error {error:.1e}, over {most:.1e}. "
            "Random numbers in the module do that, and rounding before an argmax: --no-check leaves the comparison out"
        )
    return error


def formatted(entry) -> str:
    sizes = [str(size) if isinstance(size, int) else size.get("name", "?") for size in entry["shape"]]
    return f"{entry['name']}: {entry['dtype']} ({', '.join(sizes)})"


def run(options) -> None:
    if not options.out.endswith(".pt2"):
        raise Problem(f"{options.out} does not end in .pt2, as torch demands")
    folder = Path(options.out).absolute().parent
    if not folder.is_dir():
        raise Problem(f"there is no folder {folder}")
    if options.batch is not None and options.batch < SMALLEST_BATCH:
        raise too_small("--batch")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise Problem("--device cuda needs a CUDA build of torch and a GPU")
    torch.manual_seed(0)
    module, inputs, given, shapes = make_module(options)
    names = input_names(module, inputs, given)
    module = add_learner(module, options).eval().to(options.device)
    inputs = pytree.tree_map(lambda value: value.to(options.device).contiguous(), inputs)
    described = export_package(module, inputs, names, shapes, options)
    print(f"{options.out}: torch {torch.__version__}, {options.device}, {math.ceil(Path(options.out).stat().st_size / 1e6)} MB")
    for kind in ("inputs", "outputs"):
        for entry in described[kind]:
            print(f"  {kind[:-1]} {formatted(entry)}")
    if not options.no_check:
        print(f"  relative error to the module: {check_package(options.out, module, inputs):.1e}")


def check_paths() -> None:
    """The compiler's command line is made without quotes."""
    # Not asked without need: it fails for a user without a name.
    cache = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or default_cache_dir()
    for path in (torch.__file__, os.path.abspath(cache)):
        if " " in path:
            raise Problem(f"PyTorch compiles in no folder whose name has a space: {path}")


def main() -> int:
    try:
        check_paths()
        run(ARGUMENTS)
    except Problem as problem:
        print(f"export.py: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
