#!/usr/bin/env bash
# The checks on a GPU machine that has Python with torch, but no Node and no network. carry.mjs puts this script beside all that
# it needs.
#
#     bash run.sh a|b|c [OPTION]...
#
#   a  right: the kernels against the oracle, then at the same time the kernels under compute-sanitizer and at all sizes, parity, faults,
#      the server, compiled programs
#   b  fast: the kernels' times, the batcher, the server, and the bench against PyTorch eager and cuBLAS's product
#   c  the bench against torch.compile, for a few workloads
#
# Each takes less than ten minutes, and much less with 16 cores. The results go to ${OUT:-./out}: run.log, a line of steps.jsonl for each
# program that ended, and the programs' own files, which are complete at every moment. Exit codes: 0 if all passes, 1 if something
# fails, 2 for a wrong command line, 77 without a usable GPU. Options of b and c go to check.mjs.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-out}
failed=0
skipped=0
begun=()

say() { echo "$*" | tee -a "$out/run.log"; }

# step NAME SECONDS COMMAND...
step() {
  local name=$1 seconds=$2 started=$SECONDS code
  shift 2
  timeout --kill-after=5 "$seconds" "$@" 2>&1 | sed -u "s/^/$name: /" | tee -a "$out/run.log"
  code=${PIPESTATUS[0]}
  printf '{"step":"%s","exit":%d,"seconds":%d}\n' "$name" "$code" $((SECONDS - started)) >>"$out/steps.jsonl"
  return "$code"
}

# Takes a step's exit code.
note() {
  case $1 in
    0) ;;
    77) skipped=1 ;;
    *) failed=1 ;;
  esac
}

# Starts a step in the background.
begin() {
  "$@" &
  begun+=($!)
}

# Waits for all of them. bash remembers the exit codes of those that have ended.
join() {
  local job
  for job in "${begun[@]}"; do
    wait "$job"
    note $?
  done
}

finish() {
  say 'Failures:'
  grep -E 'FAILED|ERROR:|========= (Error|Invalid|Warning)' "$out/run.log" | head -60
  say 'Steps:'
  cat "$out/steps.jsonl"
  [ "$failed" = 0 ] || exit 1
  [ "$skipped" = 0 ] || exit 77
  exit 0
}

# Node and all files, each archive once.
unpack() {
  local archive
  for archive in "$here"/*.tar.xz; do
    [ -e "$archive" ] || continue
    [ -e "$archive.unpacked" ] && continue
    python3 -W ignore -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$archive" "$here" || return
    touch "$archive.unpacked"
  done
}

prepare() {
  unpack || { say 'The archives cannot be unpacked'; exit 1; }
  if [ -z "${TOKENLEARNER_LIBTORCH:-}" ]; then
    TOKENLEARNER_LIBTORCH=$(python3 -c 'import importlib.util as i; print(i.find_spec("torch").submodule_search_locations[0])') ||
      { say 'python3 has no torch; name a libtorch in TOKENLEARNER_LIBTORCH'; exit 1; }
  fi
  TOKENLEARNER_COMMIT=$(cat "$here/COMMIT")
  export TOKENLEARNER_LIBTORCH TOKENLEARNER_COMMIT PYTHONUNBUFFERED=1
}

# check NAME SECONDS OPTION...: test/gpu/check.mjs, whose results are NAME.json.
check() {
  local name=$1 seconds=$2
  shift 2
  step "$name" "$seconds" "$here/node" "$here/test/gpu/check.mjs" --output "$out/$name.json" "$@"
}

# sanitize TOOL [OPTION]... [-- ARGUMENT...]: options of the tool, arguments of the program.
sanitize() {
  local tool=$1 options=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
  [ $# = 0 ] || shift
  step "$tool" 400 compute-sanitizer --tool "$tool" "${options[@]}" --error-exitcode 1 "$here/bin/cuda-gpu-kernels" quick "$@"
}

right() {
  step kernels 100 "$here/bin/cuda-gpu-kernels" quick
  note $?
  [ "$skipped" = 0 ] || finish
  begin sanitize memcheck
  # The threads of a warp return a slot through one of them: a dependency of two steps.
  begin sanitize racecheck --racecheck-indirect-barrier-dependency
  begin sanitize synccheck
  begin sanitize initcheck -- --no-poison
  local precision part
  for precision in float32 tf32 bfloat16 float16; do
    for part in 'all sizes' 'the official layers'; do
      begin step "full $precision" 400 "$here/bin/cuda-gpu-kernels" --test-suite=cuda/gpu-kernels/full "--test-case=$part*" "--subcase=* $precision"
    done
  done
  begin check parity 400 --parity
  begin check faults 400 --faults
  begin check server 100 --server
  begin check programs 400 --programs
  join
}

fast() {
  step bench-kernels 60 "$here/bin/bench-gpu-kernels" --json "$out/kernels.jsonl"
  note $?
  [ "$skipped" = 0 ] || finish
  step batcher 60 "$here/node" "$here/test/bench/serve/batcher.mjs" --device cuda --rounds 4 --seconds 0.5 --output "$out/batcher.json"
  note $?
  step serve 180 "$here/node" "$here/test/bench/serve/bench.mjs" --device cuda --closed --output "$out"
  note $?
  check bench 300 --bench --no-compile --time-limit 250 "$@"
  note $?
}

compiled() {
  check compile 590 --bench --only doc-1,rt1-step,vit-b --modes bfloat16 --time-limit 300 "$@"
  note $?
}

command=${1:-}
shift || true
case $command in
  a | b | c) ;;
  *)
    echo 'Expected one of a, b, c' >&2
    exit 2
    ;;
esac
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
prepare

case $command in
  a) right ;;
  b) fast "$@" ;;
  c) compiled "$@" ;;
esac
finish
