#!/usr/bin/env bash
# Builds the program once, makes every package from it, installs each into an empty place, and speaks MCP with it there.
#
#   packaging/check.sh [BINARIES]
#
# BINARIES is a folder with TARGET/medplum-mcp for each target that was built elsewhere; without it this machine's is
# built. A package whose tools are not there is skipped, and it says so. Tools that are missing but can be installed
# (maturin, uv, the bundle's validator) come from their registries once, into a cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cache=${XDG_CACHE_HOME:-$HOME/.cache}/medplum-mcp-checks
made=$work/made
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here
# A name for releases that nothing is fetched from here.
export GITHUB_REPOSITORY=${GITHUB_REPOSITORY:-example/medplum-mcp}

# The version of each tool that is installed for the check.
MATURIN=1.16.0
UV=0.13.9
MCPB=2.1.2
ZIGBUILD=0.24.1
ZIG=0.17.1

# 15 MB
LIMIT=15000000

passed=0
skipped=0
say() { echo "packaging: $*"; }
pass() { passed=$((passed + 1)); say "ok: $*"; }
skip() { skipped=$((skipped + 1)); say "skipped: $*"; }
has() { command -v "$1" > /dev/null 2>&1; }
# What a package's user has, and nothing of ours: an empty home, the system's programs.
empty() { rm -rf "${work:?}/home"; mkdir "$work/home"; (cd "$work/home" && env -i HOME="$work/home" PATH="$PATH" "$@"); }
speak() { empty python3 "$here/speak.py" "$@"; }

has python3 && python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { skip "no python3 from 3.11 on"; exit 0; }
# Not a version manager's stand-in, which looks for its settings at home.
PATH=$(dirname "$(python3 -c 'import sys; print(sys.executable)')"):$PATH
version=$(python3 "$here/product.py")

python3 -m unittest discover --quiet --start-directory "$here" --pattern '*_check.py' > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
pass "the packages' pages, and the names that they go by"

# --- tools -----------------------------------------------------------------------------------------------------------

# Sets $tool to an installed Python program of a fixed version, with what else it needs, or fails.
python_tool() {
    tool=$cache/$1-$2/bin/$1
    [ -x "$tool" ] || {
        rm -rf "$cache/$1-$2"
        python3 -m venv "$cache/$1-$2" > /dev/null 2>&1 &&
            "$cache/$1-$2/bin/pip" install --quiet --disable-pip-version-check "$1==$2" "${@:3}" > /dev/null 2>&1
    }
}

# --- the program -----------------------------------------------------------------------------------------------------

if [ $# -gt 0 ]; then
    binaries=$(cd "$1" && pwd)
else
    host=$(rustc -vV | sed -n 's/^host: //p')
    (cd "$root" && cargo build --quiet --release --locked -p medplum-mcp)
    target=$(cd "$root" && cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    binaries=$work/binaries
    mkdir -p "$binaries/$host"
    cp "$target/release/medplum-mcp" "$target/release/pymedplum-mcp" "$binaries/$host/"
fi
for program in "$binaries"/*/medplum-mcp*; do
    # Two in one.
    case $program in */universal-*) continue ;; esac
    size=$(wc -c < "$program")
    [ "$size" -le $LIMIT ] || { say "$program has $size bytes, over $LIMIT"; exit 1; }
    pass "$(basename "$(dirname "$program")"): $size bytes, under $LIMIT"
done

# --- cargo install ---------------------------------------------------------------------------------------------------

if [ $# -eq 0 ]; then
    (cd "$root" && cargo install --quiet --locked --path crates/medplum-mcp --root "$work/cargo" --target-dir "$target" 2> "$work/log") ||
        { cat "$work/log"; exit 1; }
    speak "$work/cargo/bin/medplum-mcp" --sandbox
    pass "cargo install"
    (cd "$root" && cargo package --quiet --workspace --locked --no-verify --allow-dirty --target-dir "$work/crates" 2> "$work/log") ||
        { cat "$work/log"; exit 1; }
    for crate in "$work"/crates/package/*.crate; do
        # What crates.io takes at most.
        [ "$(wc -c < "$crate")" -le 10485760 ] || { say "$crate is too large for crates.io"; exit 1; }
    done
    pass "cargo package: $(ls "$work"/crates/package/*.crate | wc -l) crates"
fi

# --- PyPI ------------------------------------------------------------------------------------------------------------

if [ $# -gt 0 ]; then
    skip "no wheel from binaries that were built elsewhere"
elif ! python_tool maturin $MATURIN; then
    skip "no maturin"
else
    (cd "$root" && "$tool" build --quiet --release --locked --target-dir "$target" --out "$made/wheels" > "$work/log" 2>&1) ||
        { cat "$work/log"; exit 1; }
    wheel=$(echo "$made"/wheels/*.whl)
    case $wheel in *"/medplum_mcp-$version-"*) ;; *) say "the wheel is not of $version: $wheel"; exit 1 ;; esac

    python3 -m venv "$work/pip"
    "$work/pip/bin/pip" install --quiet --disable-pip-version-check --no-index --find-links "$made/wheels" medplum-mcp
    speak "$work/pip/bin/medplum-mcp" --sandbox
    speak "$work/pip/bin/pymedplum-mcp" --sandbox
    pass "pip install medplum-mcp, as medplum-mcp and pymedplum-mcp"

    if python_tool uv $UV; then
        uvx=$(dirname "$tool")/uvx
        offline="--offline --no-index --find-links $made/wheels --no-python-downloads"
        # shellcheck disable=SC2086
        speak "$uvx" $offline medplum-mcp --sandbox
        # shellcheck disable=SC2086
        speak "$uvx" $offline --from medplum-mcp pymedplum-mcp --sandbox
        pass "uvx medplum-mcp; uvx --from medplum-mcp pymedplum-mcp"
    else
        skip "no uv"
    fi
fi

# --- npm -------------------------------------------------------------------------------------------------------------

if has node && has npm && has npx; then
    python3 "$here/npm.py" "$binaries" "$made/npm" > /dev/null
    mkdir "$made/tarballs"
    for package in "$made"/npm/*/; do
        (cd "$package" && npm pack --silent --pack-destination "$made/tarballs" > /dev/null)
    done
    empty python3 "$here/npm_registry.py" "$made/tarballs" \
        python3 "$here/speak.py" npx -y medplum-mcp --sandbox
    pass "npx -y medplum-mcp"
    node --test --test-reporter=dot "$here/npm/launcher.test.js" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    pass "the launcher's tests"
else
    skip "no node, npm and npx: no npm package"
fi

# --- the bundle ------------------------------------------------------------------------------------------------------

python3 "$here/mcpb.py" "$binaries" "$made/bundle" > /dev/null
bundle=$made/bundle/medplum-mcp-$version.mcpb
tools=$cache/mcpb-$MCPB
if has node && has npm && { [ -d "$tools/node_modules/@anthropic-ai/mcpb" ] ||
    npm install --silent --no-audit --no-fund --prefix "$tools" "@anthropic-ai/mcpb@$MCPB" > /dev/null 2>&1; }; then
    "$tools/node_modules/.bin/mcpb" unpack "$bundle" "$work/unpacked" > "$work/log" 2>&1 &&
        "$tools/node_modules/.bin/mcpb" validate "$work/unpacked/manifest.json" >> "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    cp "$here/mcpb/started.mjs" "$tools/"
    speak node "$tools/started.mjs" "$work/unpacked" '{"sandbox":true}'
    # Nothing filled in is no credentials, and not a placeholder.
    empty node "$tools/started.mjs" "$work/unpacked" '{}' 2> "$work/log" < /dev/null && exit 1
    grep -q 'No Medplum credentials' "$work/log" || { cat "$work/log"; exit 1; }
    pass "the bundle, valid, and started as its manifest says"
else
    skip "no node, npm and @anthropic-ai/mcpb: the bundle was made, but not started"
fi

# --- alone -----------------------------------------------------------------------------------------------------------

# Builds the static binary of this machine as the Dockerfile does: its command, in a folder with what Docker is sent and
# nothing else. Zig compiles its C and links it. Rust's own library for it comes with rustup's target, or is built from
# its source, where the compiler has that.
build_static() {
    musl=$(uname -m)-unknown-linux-musl
    library=$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib
    if [ -d "$library/$musl/lib" ]; then
        from="rustup's target"; std=(); flags=(); unstable=0
    elif [ -f "$library/src/rust/library/std/Cargo.toml" ]; then
        from="Rust's own source"; std=("-Zbuild-std=std,panic_unwind"); flags=(-- -C link-self-contained=no); unstable=1
    else
        return 0
    fi
    python_tool cargo-zigbuild $ZIGBUILD ziglang==$ZIG || return 0
    mkdir "$work/context"
    mapfile -t command < <(python3 "$here/docker_context.py" "$work/context")
    # `cargo build …`, as a command of cargo-zigbuild that takes flags for the last step alone.
    [ "${command[*]:0:2}" = "cargo build" ] || { say "the Dockerfile builds by ${command[*]}"; exit 1; }
    (cd "$work/context" && PATH=$(dirname "$tool"):$PATH RUSTC_BOOTSTRAP=$unstable \
        "$tool" rustc --quiet "${command[@]:2}" "${std[@]}" --target "$musl" --target-dir "$work/static" "${flags[@]}" \
        > "$work/log" 2>&1) || { cat "$work/log"; exit 1; }
    mkdir "$work/$musl"
    cp "$work/static/$musl/release/medplum-mcp" "$work/$musl/"
    rm -rf "$work/static" "$work/context"
    static=$work/$musl/medplum-mcp
    pass "$musl by the Dockerfile's command from Docker's context, with $from: $(wc -c < "$static") bytes"
}

static=""
for candidate in "$binaries"/*-linux-musl/medplum-mcp; do
    [ -x "$candidate" ] && "$candidate" --version > /dev/null 2>&1 && static=$candidate
done
if [ $# -eq 0 ] && [ "$(uname -s)" = Linux ]; then build_static; fi
if [ -z "$static" ]; then
    skip "no static binary: give BINARIES, or a compiler with the target $(uname -m)-unknown-linux-musl or with rust-src"
elif [ "$(id -u)" != 0 ] || ! has chroot; then
    skip "no chroot without root: the static binary was not tried alone"
else
    mkdir "$work/alone"
    cp "$static" "$work/alone/"
    [ "$(wc -c < "$static")" -le $LIMIT ] || { say "$static is over $LIMIT bytes"; exit 1; }
    python3 "$here/speak.py" chroot --userspec=65532:65532 "$work/alone" /medplum-mcp --sandbox
    pass "the static binary, alone in its root, as nobody"
fi

# --- what points at the packages -------------------------------------------------------------------------------------

python3 "$here/archives.py" "$binaries" "$made/archives" > /dev/null
first=$(cd "$made/archives" && cat ./* | cksum)
python3 "$here/archives.py" "$binaries" "$made/archives" > /dev/null
[ "$first" = "$(cd "$made/archives" && cat ./* | cksum)" ] || { say "the archives differ from one time to the next"; exit 1; }
for archive in "$made"/archives/*"$(uname -m)"-*.tar.gz; do
    mkdir "$work/archive"
    tar -xzf "$archive" -C "$work/archive" --strip-components 1
    ! "$work/archive/medplum-mcp" --version > /dev/null 2>&1 || speak "$work/archive/medplum-mcp" --sandbox
    rm -rf "$work/archive"
done
pass "the archives"
mkdir "$made/formula"
python3 -c 'import sys; from archives import name; from product import TARGETS; [open(f"{sys.argv[1]}/{name(t)}", "ab") for t in TARGETS]' \
    "$made/archives"
python3 "$here/homebrew.py" "$made/archives" "$made/formula"
! grep -n '@[A-Z]' "$made/formula/medplum-mcp.rb" || exit 1
if has ruby; then ruby -c "$made/formula/medplum-mcp.rb" > /dev/null; fi
pass "the formula"
python3 "$here/registry.py" "$bundle" "$made/registry"
python3 "$here/registry_test.py" "$made/registry/server.json"
pass "server.json"

if docker info > /dev/null 2>&1; then
    docker build --quiet --file "$here/docker/Dockerfile" --tag "medplum-mcp:check" "$root" > /dev/null
    python3 "$here/speak.py" docker run --rm --interactive --network none --read-only medplum-mcp:check --sandbox
    pass "the image"
elif has buildah && [ -n "$static" ] && [ "$(id -u)" = 0 ]; then
    # Without a daemon and a registry: the static binary, as a release hands it in, on a base that has nobody in it.
    arch=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
    mkdir -p "$work/image/$arch" "$work/nobody/etc"
    cp "$static" "$work/image/$arch/"
    echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' > "$work/nobody/etc/passwd"
    echo 'nonroot:x:65532:' > "$work/nobody/etc/group"
    export BUILDAH_ISOLATION=chroot
    # Files alone: no mount is left behind.
    buildah=(buildah --storage-driver vfs --root "$work/images" --runroot "$work/running")
    {
        base=$("${buildah[@]}" from scratch)
        "${buildah[@]}" copy "$base" "$work/nobody" /
        "${buildah[@]}" commit "$base" localhost/nobody
        "${buildah[@]}" build --pull-never --ignorefile "$here/docker/Dockerfile.dockerignore" --file "$here/docker/Dockerfile" \
            --build-arg BASE=localhost/nobody --build-arg BINARY=built --build-arg TARGETARCH="$arch" \
            --build-context "built-binaries=$work/image" --tag localhost/medplum-mcp "$root"
        image=$("${buildah[@]}" from --pull-never localhost/medplum-mcp)
    } > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    # The program that the image starts, as its user: buildah starts only what it is told.
    started=$("${buildah[@]}" inspect --format '{{.OCIv1.Config.User}} {{index .OCIv1.Config.Entrypoint 0}}' "$image")
    [ "$started" = "nonroot /medplum-mcp" ] || { say "the image starts $started"; exit 1; }
    python3 "$here/speak.py" "${buildah[@]}" run "$image" -- "${started#* }" --sandbox
    "${buildah[@]}" rm --all > /dev/null
    pass "the image, by buildah, on a base of nobody alone"
else
    skip "neither docker, nor buildah with a static binary and root: no image"
fi

say "$passed passed, $skipped skipped"
