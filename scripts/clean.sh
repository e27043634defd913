#!/usr/bin/env bash
# Stops what runs from this checkout (by recorded process and container, never by name) and removes what was made in it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -d .run ]; then
    for python in python3 .venv/bin/python; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$python" -B -m lab.clean
            break
        fi
    done
fi
rm -rf .run .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
find . -name __pycache__ -type d -not -path './web/node_modules/*' -prune -exec rm -rf {} +
