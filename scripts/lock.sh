#!/usr/bin/env bash
# Locks every version with its hashes, for all Pythons from 3.11 on. No index, no path: the lock must be true on any machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
common=(--quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links
    --cache-dir .run/cache/uv "$@")
.venv/bin/uv pip compile "${common[@]}" --output-file requirements-dev.lock requirements-dev.in
# The same versions in production as in the tests.
.venv/bin/uv pip compile "${common[@]}" --constraint requirements-dev.lock --output-file requirements.lock requirements.in
