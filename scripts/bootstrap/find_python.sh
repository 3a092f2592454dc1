# Sourced by the scripts beside it: sets $root to the checkout and $python to a Python that can run it.
#
# Order: the one that .venv was made with; 3.11 and 3.13, for which PocketSphinx comes ready-made;
# 3.12, where it must be compiled; then whatever python3 is.

root=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
python=
incomplete=
for candidate in "$root/.venv/bin/python" python3.11 python3.13 python3.12 python3 python; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    status=0
    "$candidate" -c '
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(4)
try:
    import ctypes, fcntl, ssl, tomllib, urllib.request, zlib
except ImportError:
    sys.exit(5)
' >/dev/null 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        python=$candidate
        break
    fi
    if [ "$status" -eq 5 ]; then
        incomplete=$candidate
    fi
done

if [ -z "$python" ] && [ -n "$incomplete" ]; then
    echo "parley: $incomplete lacks parts of Python's standard library (ssl, zlib, ctypes): install the whole of it (Debian, Ubuntu: apt install python3), then start again." >&2
    exit 1
fi
if [ -z "$python" ]; then
    found=$(python3 --version 2>/dev/null) || found="no Python"
    echo "parley: needs Python 3.11, 3.12 or 3.13 and found ${found:-no Python}: install one (Debian 12: apt install python3; others: https://www.python.org/downloads/), then start again." >&2
    exit 1
fi
