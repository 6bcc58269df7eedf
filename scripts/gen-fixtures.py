#!/usr/bin/env python3
"""Regenerates test/fixtures/parity and test/fixtures/seeds with PyTorch; the tests that read them need no Python.

    python scripts/gen-fixtures.py            writes the files
    python scripts/gen-fixtures.py --check    compares with the committed files and changes nothing
    python scripts/gen-fixtures.py --random 100 --seed 1 --output FOLDER
                                              writes 100 cases that no test has seen; then
                                              TOKENLEARNER_FIXTURES=FOLDER npx jest test/parity/token-learner

A float32 result depends in its last bits on the processor (PyTorch picks its kernels by instruction set). So --check asks for the
same text (configurations, seeded parameters), and for the same outputs up to rounding.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from fixtures import modules, parity, seeds
from reference import relative_l2_error
from safetensors.torch import load_file, save_file

FIXTURES = Path(__file__).resolve().parent.parent / "test" / "fixtures"

# What rounding may change between processors, as relative L2 difference: some units in the last place.
ROUNDING = {torch.float64: 1e-14, torch.float32: 4e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def to_text(value) -> str:
    """JSON, one case a line."""
    rows = {key: ",\n".join("  " + json.dumps(row) for row in rows) for key, rows in value.items()}
    return "{\n" + ",\n".join(f'"{key}": [\n{text}\n]' for key, text in rows.items()) + "\n}\n"


def collect(folder: str, cases: list[dict], files: dict) -> tuple[dict, dict]:
    texts = {f"{folder}/cases.json": to_text({"torch": [torch.__version__], "cases": cases})}
    return texts, {f"{folder}/{file}.safetensors": content for file, content in files.items()}


def generate_parity(cases: list[parity.Case] | None = None) -> tuple[dict, dict]:
    return collect("parity", *parity.generate(cases))


def generate() -> tuple[dict, dict]:
    """({path: text}, {path: tensors})"""
    texts, tensors = generate_parity()
    more_texts, more_tensors = collect("modules", *modules.generate())
    seed_texts = {"seeds/seeds.json": to_text({"torch": [torch.__version__], **seeds.generate()})}
    return {**texts, **more_texts, **seed_texts}, {**tensors, **more_tensors}


def differs(name: str, expected: torch.Tensor, committed: torch.Tensor | None) -> bool:
    if committed is None or committed.dtype != expected.dtype or committed.shape != expected.shape:
        return True
    if not torch.equal(expected.isnan(), committed.isnan()) or not torch.equal(expected.isinf(), committed.isinf()):
        return True
    finite = expected.isfinite()
    return relative_l2_error(committed[finite], expected[finite]) > ROUNDING[expected.dtype]


def check(texts: dict, tensors: dict) -> list[str]:
    wrong = []
    for path, text in texts.items():
        if not (FIXTURES / path).exists() or (FIXTURES / path).read_text() != text:
            wrong.append(path)
    for path, content in tensors.items():
        committed = load_file(FIXTURES / path) if (FIXTURES / path).exists() else {}
        names = {*content, *committed}
        wrong += [f"{path}: {n}" for n in sorted(names) if n not in content or differs(n, content[n], committed.get(n))]
    stored = {
        str(p.relative_to(FIXTURES)) for folder in ("parity", "modules", "seeds") for p in (FIXTURES / folder).iterdir()
    }
    return wrong + [f"{path}: not generated" for path in sorted(stored - {*texts, *tensors})]


def write(folder: Path, texts: dict, tensors: dict) -> None:
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for path, content in tensors.items():
        save_file(content, folder / path)
        (folder / path).chmod(0o644)
    total = sum((folder / path).stat().st_size for path in (*texts, *tensors))
    print(f"{len(texts) + len(tensors)} files, {total / 1e6:.2f} MB in {folder}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed files; exit status 1 if they differ"
    )
    parser.add_argument("--random", type=int, metavar="N", help="write N random cases of the layer, and nothing else")
    parser.add_argument("--seed", type=int, default=0, help="of the random cases (default 0)")
    parser.add_argument("--output", type=Path, default=FIXTURES, help="folder to write to (default test/fixtures)")
    arguments = parser.parse_args()
    if arguments.random is not None and arguments.output == FIXTURES:
        parser.error("--random needs --output")
    torch.set_num_threads(1)
    if arguments.random is not None:
        texts, tensors = generate_parity(parity.random_cases(arguments.random, arguments.seed))
    else:
        texts, tensors = generate()
    if arguments.check:
        wrong = check(texts, tensors)
        print("\n".join(wrong) or "the committed fixtures are what PyTorch gives")
        return 1 if wrong else 0
    write(arguments.output, texts, tensors)
    return 0


if __name__ == "__main__":
    sys.exit(main())
