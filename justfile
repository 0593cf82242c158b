# The few commands. `just` lists them; each is one line that can be typed as well.

_list:
    @just --list --unsorted

# A short session on synthetic patients
demo:
    cargo run --release -- demo

# What a change must pass: format, lints, tests, other people's clients, packages
check:
    .ci/run

# The tests alone; `just test summary` for those with that in their name
test *filter:
    cargo test --workspace --locked -- {{ filter }}

# Accepts what the snapshots have become, to be read in the diff
snapshots:
    INSTA_UPDATE=always cargo test --workspace --locked

# Real MCP clients and Medplum clients against the server and its sandbox
peers:
    for peer in tests/peers/*.sh; do sh "$peer"; done

# Builds every package and tries each in an empty place
packages:
    packaging/check.sh

# How much the tools' definitions cost an agent
tokens:
    cargo test -p medplum-mcp --test tokens -- --nocapture

# The version, which stands in Cargo.toml alone
version:
    @python3 packaging/product.py
