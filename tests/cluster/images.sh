#!/usr/bin/env bash
# Builds cutover and the sample application, and gives them to the local
# cluster in a folder as the images cutover:dev and shop:dev, and a shell as sh:dev.
set -euo pipefail

if (($# != 1)); then
    echo "usage: $0 DIR" >&2
    exit 2
fi
dir=$(realpath -m "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cargo build --locked --bin cutover --example shop >&2

target=${CARGO_TARGET_DIR:-target}
load() { # name, executables: the first is what the image runs
    local name=$1
    shift
    target/localcluster/localcluster load-image --dir "$dir" --name "$name" "$@"
}
load cutover:dev "$target/debug/cutover"
load shop:dev "$target/debug/examples/shop"
# For tests of Jobs, whose pods do what a test writes.
load sh:dev /bin/sh /bin/sleep
