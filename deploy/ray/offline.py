"""
Tokens of many files, on all machines of a Ray cluster: Ray Data spreads the files, and each task is one `tokenlearner run` over some of them.

    python offline.py --weights w.safetensors --input '/data/features/*.npy' --output-dir /data/tokens

Weights, inputs, outputs and the app folder (npm install tokenlearner) must be at the same paths on every machine. Outputs that are there are kept: after a
failure, run it again. The exit code is 1 if a file has failed; the others are done. Arguments after `--` go to `tokenlearner run`.
"""

import argparse
import collections
import glob
import math
import os
import subprocess
import sys
import tempfile


def run_command(program, weights, folder, output_dir, arguments):
    """The command of a task: over the links in a folder, which keep the names of the inputs."""
    command = ["node", program, "run", "--weights", weights, "--input", os.path.join(folder, "*")]
    return [*command, "--output-dir", output_dir, "--resume", "--quiet", *arguments]


def run_files(files, program, weights, output_dir, threads, arguments):
    """Runs one command over some files. Returns what it said if it failed, or ''."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory(prefix="tokenlearner-") as folder:
        for file in files:
            os.symlink(file, os.path.join(folder, os.path.basename(file)))
        command = run_command(program, weights, folder, output_dir, arguments)
        done = subprocess.run(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
        )
    if done.returncode == 0:
        return ""
    said = done.stderr.strip() or f"exit code {done.returncode}"
    for file in files:
        said = said.replace(os.path.join(folder, os.path.basename(file)), file)
    return said


def run_batch(batch, **settings):
    """What Ray Data calls with the files of a task."""
    files = [str(file) for file in batch["file"]]
    return {"files": [len(files)], "failure": [run_files(files, **settings)]}


def input_files(pattern):
    """The files of a pattern, with absolute paths. Two of the same name would have the same output."""
    files = sorted(os.path.abspath(file) for file in glob.glob(pattern, recursive=True) if os.path.isfile(file))
    if not files:
        sys.exit(f"No file matches {pattern}")
    names = collections.Counter(os.path.basename(file) for file in files)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        sys.exit(f"Two inputs have the name {twice[0]}, and so would their outputs")
    return files


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--input", required=True, help="a pattern, in quotes; ** is any depth")
    parser.add_argument("--output-dir", required=True)
    parser.add_argument("--app-dir", default=".", help="the folder with node_modules (.)")
    parser.add_argument("--files-per-task", type=int, default=256, help="each task starts a process and loads the weights (256)")
    parser.add_argument("--cpus", type=float, default=2, help="CPUs of a task, also its number of threads (2)")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of a task (0)")
    parser.add_argument("--address", default="auto", help="the Ray cluster; 'local' starts one on this machine (auto)")
    parser.add_argument("arguments", nargs="*", metavar="-- ...", help="more options of tokenlearner run")
    return parser.parse_args()


def main():
    import ray

    options = parse()
    files = input_files(options.input)
    local = {"include_dashboard": False} if options.address == "local" else {}
    ray.init(address=options.address, **local)
    tasks = math.ceil(len(files) / options.files_per_task)
    app = os.path.abspath(options.app_dir)
    settings = {
        "program": os.path.join(app, "node_modules", "tokenlearner", "dist", "cli", "main.js"),
        "weights": os.path.abspath(options.weights),
        "output_dir": os.path.abspath(options.output_dir),
        "threads": max(1, int(options.cpus)),
        "arguments": options.arguments,
    }
    dataset = ray.data.from_items([{"file": file} for file in files], override_num_blocks=tasks)
    placed = {"batch_size": None, "num_cpus": options.cpus, "num_gpus": options.gpus}
    results = dataset.map_batches(run_batch, fn_kwargs=settings, **placed).take_all()
    failures = [result["failure"] for result in results if result["failure"]]
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(files)} files in {len(results)} tasks, {len(failures)} of them with failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
