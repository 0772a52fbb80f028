#!/usr/bin/env bash
# From nothing to a small BERT trained on real text, and a report of what it learned.
# usage: bash scripts/quickstart.sh [--lang zh|en] [--output DIR] [--python PYTHON] [-- FLAGS]
#   --lang     language of the sample text, default zh
#   --output   folder for everything that is written, default output/quickstart_LANG
#   --python   an interpreter that has mindmlm, instead of the .venv that is made otherwise
#   FLAGS      go to run_mindformer.py, for example: -- --max_steps 50
# Run again, it skips what is done and goes on with a training that was stopped.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
usage() { sed -n '3,7s/^# //p' "${BASH_SOURCE[0]}"; }
fail() {
    echo "quickstart.sh: $1" >&2
    usage >&2
    exit 2
}

lang=zh output="" python=""
while (($#)); do
    case "$1" in
        --lang | --output | --python)
            (($# > 1)) || fail "$1: the value is missing"
            printf -v "${1#--}" '%s' "$2"
            shift 2
            ;;
        --help | -h) usage && exit 0 ;;
        --) shift && break ;;
        *) fail "$1: unknown flag" ;;
    esac
done
[[ "$lang" == zh || "$lang" == en ]] || fail "--lang: $lang is not zh or en"
output="${output:-$root/output/quickstart_$lang}"

if [[ -z "$python" ]]; then
    bash "$root/scripts/make_environment.sh"
    python="$root/.venv/bin/python"
fi

text="$output/data/sample_$lang.txt"
[[ -f "$text" ]] || "$python" -m mindmlm sample --lang "$lang" --output "$output/data" >/dev/null

finished="$output/.quickstart_finished"
if [[ ! -f "$finished" || "$(cat "$finished")" != "$lang $*" ]]; then
    resume=()
    [[ ! -f "$output/checkpoint/latest" ]] || resume=(--load_checkpoint latest)
    "$python" "$root/run_mindformer.py" --config "$root/configs/bert/run_quickstart_$lang.yaml" \
        --run_mode train --dataset_dir "$text" --output_dir "$output" "${resume[@]}" "$@"
    echo "$lang $*" >"$finished"
fi
"$python" -m mindmlm report "$output"
