#!/usr/bin/env bash
# Make the environment and run all checks that are not slow.
# usage: bash scripts/run_tests.sh [PYTEST ARGUMENTS]     for example: -k masking   or   -x
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/make_environment.sh dev
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
# A file of tests stays in one process: its tests share runs and compiled graphs.
.venv/bin/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile "$@"
