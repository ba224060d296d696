#!/bin/sh
# Builds every C example for WASI: examples/build.sh [OUTDIR]
#
# OUTDIR is target/examples-wasm by default. Only what changed is built again.
# Exit code 3: a tool or library is missing; the message says which package has it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../target/examples-wasm}
# Debian keeps the headers in include/wasm32-wasi and the libraries in
# lib/wasm32-wasi below this; a WASI SDK has both in its own sysroot.
sysroot=${WASI_SYSROOT:-/usr}
cc=${WASI_CC:-clang}

missing=""
command -v "$cc" >/dev/null || missing="$missing clang"
command -v wasm-ld >/dev/null || missing="$missing lld"
[ -e "$sysroot/lib/wasm32-wasi/libc.a" ] || missing="$missing wasi-libc"
if command -v "$cc" >/dev/null; then
    builtins=$("$cc" --target=wasm32-wasi --print-libgcc-file-name)
    [ -e "$builtins" ] || missing="$missing libclang-rt-14-dev-wasm32"
fi
if [ -n "$missing" ]; then
    echo "examples/build.sh: missing:$missing" >&2
    echo "  fix: apt-get install$missing" >&2
    exit 3
fi

mkdir -p "$out"
for source in "$here"/*.c; do
    wasm=$out/$(basename "$source" .c).wasm
    [ "$wasm" -nt "$source" ] && [ "$wasm" -nt "$0" ] && continue
    # Renamed into place: a reader never sees half a module.
    "$cc" --target=wasm32-wasi --sysroot="$sysroot" -std=c11 -O2 -Wall -Wextra \
        -D_GNU_SOURCE -D_WASI_EMULATED_SIGNAL -o "$wasm.$$" "$source" -lwasi-emulated-signal
    mv "$wasm.$$" "$wasm"
    echo "$wasm"
done
