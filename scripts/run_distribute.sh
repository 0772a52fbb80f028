#!/usr/bin/env bash
# Start the ranks of this machine and watch them; --help explains it.
# usage: bash scripts/run_distribute.sh RANK_TABLE_FILE CONFIG_PATH DEVICE_RANGE RUN_MODE [RANK_SIZE] [FLAGS]
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/find_python.sh"
exec "$python" -m mindmlm.cli.launch "$@"
