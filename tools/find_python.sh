#!/usr/bin/env bash
# Prints the first interpreter of at least Python 3.11 that can make a virtual environment; $PYTHON goes first.
for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3 python; do
  [ -n "$candidate" ] || continue
  found=$(command -v "$candidate") || continue
  "$found" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
  echo "$found"
  exit 0
done
echo "error: no Python of version 3.11 or later with the venv module; install python3.11 and python3.11-venv, or set PYTHON=/path/to/python" >&2
exit 1
