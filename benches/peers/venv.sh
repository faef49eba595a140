#!/usr/bin/env bash
# Makes a virtual environment with the pinned peers in DIR (default: .venv beside this script).
# Usage: venv.sh [DIR]; then DIR/bin/python accuracy.py, DIR/bin/python speed.py.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
dir="${1:-$here/.venv}"
"${PYTHON:-python3}" -m venv "$dir"
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
echo "$dir/bin/python"
