#!/bin/sh
# Real clients against the sandbox: pymedplum (Python) and @medplum/core (JavaScript), each at a fixed version.
#
# Starts a sandbox of its own unless MEDPLUM_BASE_URL, MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET are set. A client that
# cannot be installed here is skipped, and it says so. Needs the network once, to install the clients.
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

if python=$("$here/installed" python pymedplum==0.6.0); then
    "$python/bin/python" "$here/peer.py"
else
    echo "peers: pymedplum cannot be installed here, and was not tried"
fi

if modules=$("$here/installed" node @medplum/core@5.2.13); then
    # Modules are looked for beside the program that asks for them.
    cp "$here/peer.mjs" "$modules/"
    node "$modules/peer.mjs"
else
    echo "peers: @medplum/core cannot be installed here, and was not tried"
fi
