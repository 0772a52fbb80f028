#!/usr/bin/env bash
# Run in one process on one device.
# usage: bash scripts/run_standalone.sh CONFIG_PATH DEVICE_ID RUN_MODE [FLAGS OF run_mindformer.py]
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if (($# < 3)) || [[ "$1$2$3" == *--* ]]; then
    sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
source "$root/scripts/find_python.sh"
exec "$python" "$root/run_mindformer.py" --config "$1" --use_parallel False --device_id "$2" --run_mode "$3" "${@:4}"
