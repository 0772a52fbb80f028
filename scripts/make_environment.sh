#!/usr/bin/env bash
# Make .venv in the project's folder and install mindmlm with the locked versions of constraints.txt.
# usage: bash scripts/make_environment.sh [EXTRAS]        for example: dev   or   dev,convert
# A second run with the same extras and unchanged files does nothing.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
extras="${1:-}"

find_python() {
    local name
    for name in python3.11 python3.12 python3.10 python3; do
        if "$name" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "no Python 3.10, 3.11 or 3.12 was found (MindSpore has no wheel for others);" \
        "install one so that python3.11, python3.12, python3.10 or python3 starts it" >&2
    return 2
}

hash_of_inputs() {
    { cat pyproject.toml constraints.txt; echo "$extras"; } | cksum
}

stamp=".venv/.mindmlm_environment${extras:+_${extras//,/_}}"
if [[ -x .venv/bin/python && -f "$stamp" && "$(cat "$stamp")" == "$(hash_of_inputs)" ]]; then
    exit 0
fi
if [[ ! -x .venv/bin/python ]]; then
    python="$(find_python)"
    echo "making .venv with $python" >&2
    "$python" -m venv .venv
fi
echo "installing mindmlm${extras:+ with $extras} into .venv (once; about a minute after the download)" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    -c constraints.txt -e ".${extras:+[$extras]}" >&2
hash_of_inputs >"$stamp"
