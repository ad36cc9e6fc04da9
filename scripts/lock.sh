#!/usr/bin/env bash
# Pins every dependency, the build's own included, with hashes for all supported Python versions and systems.
# The package index is whichever one uv is configured with; the result names none.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v uv >/dev/null; then
    echo "lock.sh needs uv (python3 -m pip install uv)." >&2
    exit 1
fi

# editables is what hatchling asks for when it installs the project in place.
printf '%s\n' 'hatchling>=1.27' 'editables>=0.5' |
    uv pip compile pyproject.toml - \
        --all-extras --universal --python-version 3.11 --upgrade \
        --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
        --quiet --output-file constraints.txt

if grep --line-number --extended-regexp '://|^-' constraints.txt; then
    echo "constraints.txt must name no address and no option." >&2
    exit 1
fi
