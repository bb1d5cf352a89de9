#!/usr/bin/env bash
# The figures of docs/benchmarks.md: the engine's, the validation's, the load
# check's, then the operator's, with a cluster that is started for them and
# taken down however they end. All run even if one misses a target. Arguments
# are handed to all but the engine's: names of their parts. The load check's
# long parts run only where they are named.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
localcluster=$PWD/target/localcluster/localcluster
dir=$PWD/target/bench-cluster

finish() {
    local code=$?
    # Nothing interrupts the taking down.
    trap '' INT TERM HUP
    "$localcluster" down --dir "$dir" || ((code)) || code=1
    exit "$code"
}

# Built first: nothing is compiled while something is measured.
cargo build --locked --release --bin cutover --example shop
cargo bench --locked --no-run --bench engine --bench load --bench operator --bench validation

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"$localcluster" up --dir "$dir" >/dev/null
"$localcluster" load-image --dir "$dir" --name shop:dev "${CARGO_TARGET_DIR:-target}/release/examples/shop"
code=0
cargo bench --locked --bench engine || code=$?
cargo bench --locked --bench validation -- "$@" || code=$?
cargo bench --locked --bench load -- "$@" || code=$?
CUTOVER_TEST_CLUSTER=$dir cargo bench --locked --bench operator -- "$@" || code=$?
# The verdict of all; finish() hands it on.
[[ $code == 0 ]]
