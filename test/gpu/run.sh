#!/usr/bin/env bash
# The checks on a GPU machine that has Python with torch, but no Node and no network. carry.mjs puts this script beside all that
# it needs.
#
#     bash run.sh a|b|c|d|e|f [OPTION]...
#
#   a  the kernels against the oracle, alone and under compute-sanitizer; their times on vit-b
#   b  parity
#   c  faults
#   d  the bench against PyTorch eager and cuBLAS's product
#   e  the bench against torch.compile, for a few workloads
#   f  the kernels against the oracle at all sizes
#
# Each takes less than ten minutes. The results go to ${OUT:-./out}: run.log, a line of steps.jsonl for each program that ended,
# and the programs' own files, which are complete at every moment. Exit codes: 0 if all passes, 1 if something fails, 2 for a
# wrong command line, 77 without a usable GPU. Options go to check.mjs.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-out}
failed=0
skipped=0

say() { echo "$*" | tee -a "$out/run.log"; }

# step NAME SECONDS COMMAND...
step() {
  local name=$1 seconds=$2 started=$SECONDS code
  shift 2
  say "== $name"
  timeout "$seconds" "$@" 2>&1 | tee -a "$out/run.log"
  code=${PIPESTATUS[0]}
  printf '{"step":"%s","exit":%d,"seconds":%d}\n' "$name" "$code" $((SECONDS - started)) >>"$out/steps.jsonl"
  say "== $name: exit code $code after $((SECONDS - started)) s"
  case $code in
    0) ;;
    77) skipped=1 ;;
    *) failed=1 ;;
  esac
}

finish() {
  [ "$failed" = 0 ] || exit 1
  [ "$skipped" = 0 ] || exit 77
  exit 0
}

unpack_node() {
  [ -x "$here/node" ] && return
  if command -v xz >/dev/null; then
    xz -dc "$here/node.xz" >"$here/node.next"
  else
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$here/node.xz" >"$here/node.next"
  fi
  chmod +x "$here/node.next" && mv "$here/node.next" "$here/node"
}

# check NAME SECONDS OPTION...: test/gpu/check.mjs, whose results are NAME.json.
check() {
  local name=$1 seconds=$2
  shift 2
  unpack_node || { say 'node.xz cannot be unpacked'; exit 1; }
  if [ -z "${TOKENLEARNER_LIBTORCH:-}" ]; then
    TOKENLEARNER_LIBTORCH=$(python3 -c 'import importlib.util as i; print(i.find_spec("torch").submodule_search_locations[0])') ||
      { say 'python3 has no torch; name a libtorch in TOKENLEARNER_LIBTORCH'; exit 1; }
  fi
  export TOKENLEARNER_LIBTORCH
  TOKENLEARNER_COMMIT=$(cat "$here/COMMIT") PYTHONUNBUFFERED=1 \
    step "$name" "$seconds" "$here/node" "$here/test/gpu/check.mjs" --output "$out/$name.json" "$@"
}

sanitize() {
  local tool=$1 seconds=$2
  shift 2
  step "$tool" "$seconds" compute-sanitizer --tool "$tool" --error-exitcode 1 "$here/bin/cuda-gpu-kernels" quick "$@"
}

full_table() {
  chmod +x "$here"/bin/*
  step kernels-full 580 "$here/bin/cuda-gpu-kernels" --test-suite=cuda/gpu-kernels/full
}

kernels() {
  chmod +x "$here"/bin/*
  step kernels 60 "$here/bin/cuda-gpu-kernels" quick
  [ "$skipped" = 0 ] || finish
  sanitize memcheck 110
  sanitize racecheck 130
  sanitize synccheck 110
  sanitize initcheck 90 --no-poison
  step bench-kernels 60 "$here/bin/bench-gpu-kernels" vit-b --json "$out/kernels.jsonl"
}

command=${1:-}
shift || true
case $command in
  a | b | c | d | e | f) ;;
  *)
    echo 'Expected one of a, b, c, d, e, f' >&2
    exit 2
    ;;
esac
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1

case $command in
  a) kernels ;;
  b) check parity 580 --parity "$@" ;;
  c) check faults 580 --faults "$@" ;;
  d) check bench 590 --bench --no-compile --time-limit 480 "$@" ;;
  e) check compile 590 --bench --only zeta-test,rt1-batch,vit-b --modes bfloat16 --time-limit 300 "$@" ;;
  f) full_table ;;
esac
finish
