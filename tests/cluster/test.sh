#!/usr/bin/env bash
# Every test: those of the cluster's tool, then those of cutover, with a
# cluster that is started for them and taken down however they end.
# Arguments are handed to `cargo test`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
localcluster=$PWD/target/localcluster/localcluster
dir=$PWD/target/test-cluster

finish() {
    local code=$?
    # Nothing interrupts the taking down.
    trap '' INT TERM HUP
    "$localcluster" down --dir "$dir" || ((code)) || code=1
    exit "$code"
}

# With the flags of build.sh: with others, Go would compile Kubernetes again.
(cd tests/cluster && CGO_ENABLED=0 GOFLAGS=-trimpath nice go test ./internal/...)

# What does not compile is told before a cluster is started for it.
cargo build --locked --all-targets >&2

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"$localcluster" up --dir "$dir" >/dev/null
tests/cluster/images.sh "$dir"
CUTOVER_TEST_CLUSTER=$dir cargo test --locked "$@"
