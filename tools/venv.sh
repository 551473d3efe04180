#!/usr/bin/env bash
# venv.sh EXTRAS STAMP: makes .venv if there is none, installs the kit with EXTRAS under constraints.txt, touches STAMP.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=$1 stamp=$2

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
find_python() {
  for candidate in "${PYTHON:-}" python3.11 python3 python3.12 python3.13; do
    if [ -n "$candidate" ] && new_enough "$candidate"; then echo "$candidate"; return; fi
  done
  local found
  found=$(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null || echo none)
  echo "c2vl_kit needs Python 3.11 or newer, but python3 is $found: install Python 3.11, or name one with: make PYTHON=/path/to/python3.11" >&2
  exit 2
}

if [ -x .venv/bin/python ] && ! new_enough .venv/bin/python; then
  echo "The environment .venv was made with a Python older than 3.11: remove the folder .venv and run make again." >&2
  exit 2
fi
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then  # none yet, or one whose making was interrupted
  python=$(find_python)
  echo "Making .venv with $("$python" -V) ..."
  "$python" -m venv --clear .venv || { rm -rf .venv; echo "Python could not make .venv: its venv module is missing (Debian: apt-get install python3-venv)." >&2; exit 2; }
fi

pip=(.venv/bin/python -m pip install --disable-pip-version-check -c constraints.txt)
# Python keeps what it compiles at the first import; to compile all 24,000 modules here takes longer, and most are never imported
[ -z "${PYTHONDONTWRITEBYTECODE:-}" ] && pip+=(--no-compile)
[ -n "${CI:-}" ] && pip+=(--quiet)
# torch first and alone: one large download, and whatever follows finds the tested release in place
"${pip[@]}" "$(grep '^torch==' constraints.txt)"
"${pip[@]}" -e ".[$extras]"
touch "$stamp"
echo "The environment .venv is ready."
