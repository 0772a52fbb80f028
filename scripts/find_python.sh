# Sourced by the scripts: sets python, and makes mindmlm importable from any folder.
python="${PYTHON:-}"
if [[ -z "$python" && -n "${VIRTUAL_ENV:-}" ]]; then
    python="$VIRTUAL_ENV/bin/python"
elif [[ -z "$python" && -x "$root/.venv/bin/python" ]]; then
    python="$root/.venv/bin/python"
fi
python="${python:-python}"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
