#!/bin/sh
# Real MCP clients against the server over stdio, on its sandbox: the Python and the TypeScript SDK, each in the form for
# both of the protocol's eras, and the MCP Inspector's command line. Each at a fixed version.
#
# Takes the program from MEDPLUM_MCP, or builds it. A client that cannot be installed here is skipped, and it says so. Needs
# the network once, to install the clients.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

if [ -z "${MEDPLUM_MCP:-}" ]; then
    (cd "$here/../.." && cargo build --quiet -p medplum-mcp)
    target=$(cd "$here/../.." && cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    MEDPLUM_MCP=$target/debug/medplum-mcp
fi
export MEDPLUM_MCP

not_tried() { echo "peers: $1 cannot be installed here, and was not tried"; }

for version in 2.3.0 1.30.0; do
    if python=$("$here/installed" python "mcp==$version"); then
        "$python/bin/python" "$here/mcp_$(echo $version | cut -d. -f1).py"
    else
        not_tried "mcp $version (Python)"
    fi
done

for client in @modelcontextprotocol/client@2.4.0 @modelcontextprotocol/sdk@1.32.2; do
    if modules=$("$here/installed" node "$client"); then
        # Modules are looked for beside the program that asks for them.
        cp "$here"/mcp*.mjs "$modules/"
        name=${client##*/}
        node "$modules/mcp_${name%@*}.mjs"
    else
        not_tried "$client"
    fi
done

inspector=@modelcontextprotocol/inspector@2.12.0
if modules=$("$here/installed" node "$inspector"); then
    HOME=$work "$here/inspector" "$modules/node_modules/.bin/mcp-inspector"
    echo "peers: $inspector is content"
else
    not_tried "$inspector"
fi
