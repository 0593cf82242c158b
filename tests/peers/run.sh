#!/bin/sh
# Real clients against the sandbox: pymedplum (Python) and @medplum/core (JavaScript), each at a fixed version.
#
# Starts a sandbox of its own unless MEDPLUM_BASE_URL, MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET are set. A client whose
# language is not there is skipped, and it says so. Needs the network once, to install the clients.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
sandbox=""
finish() {
    [ -z "$sandbox" ] || kill "$sandbox" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT INT TERM

if [ -z "${MEDPLUM_BASE_URL:-}" ]; then
    (cd "$here/../.." && cargo build --quiet -p medplum-mcp)
    target=$(cd "$here/../.." && cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    "$target/debug/medplum-mcp" sandbox --port 0 > "$work/sandbox" 2> /dev/null &
    sandbox=$!
    tries=0
    until [ "$(wc -l < "$work/sandbox")" -ge 3 ]; do
        tries=$((tries + 1))
        [ "$tries" -le 100 ] || { echo "peers: the sandbox did not start" >&2; exit 1; }
        sleep 0.1
    done
    while IFS= read -r line; do export "${line?}"; done < "$work/sandbox"
fi

if command -v python3 > /dev/null 2>&1; then
    if python3 -m venv "$work/python" > /dev/null 2>&1 &&
        "$work/python/bin/pip" install --quiet --disable-pip-version-check pymedplum==0.6.0 > /dev/null 2>&1; then
        "$work/python/bin/python" "$here/peer.py"
    else
        echo "peers: pymedplum cannot be installed here, and was not tried"
    fi
else
    echo "peers: no python3, so pymedplum was not tried"
fi

if command -v node > /dev/null 2>&1 && command -v npm > /dev/null 2>&1; then
    cp "$here/peer.mjs" "$work/"
    if (cd "$work" && npm install --silent --no-audit --no-fund --no-save @medplum/core@5.2.13 > /dev/null 2>&1); then
        node "$work/peer.mjs"
    else
        echo "peers: @medplum/core cannot be installed here, and was not tried"
    fi
else
    echo "peers: no node and npm, so @medplum/core was not tried"
fi
