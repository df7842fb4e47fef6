#!/usr/bin/env bash
# All checks, in the environment that `python` leads to. The first red one ends the run.
#   tests/run.sh          everything
#   tests/run.sh lint     only what reads the code and does not run it
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
step() { printf '\n=== %s (%d s)\n' "$*" $((SECONDS - started)); }

export PYTHONPATH="$PWD:$PWD/backends"  # for tools that do not see an editable install
export PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=3 MPLBACKEND=agg

step "ruff"
python -m ruff check .
step "pyright"
python -m pyright --pythonpath "$(command -v python)"
step "import-linter"
lint-imports
if [ "${1:-}" = lint ]; then exit 0; fi

step "tests of what no single backend owns"
python -m pytest -q tests --part rest

for backend in torch tensorflow jax; do
    step "tests on $backend, in a process of their own"
    BABEL_DL_BACKEND=$backend python -m pytest -q tests --part backends --backend $backend
done

step "doctests"
python -m pytest -q --doctest-modules babel_dl backends
step "examples"
python -m pytest -q examples
step "all green"
