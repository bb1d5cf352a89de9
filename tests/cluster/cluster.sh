#!/usr/bin/env bash
# The cluster of `make cluster`: in target/cluster, with the images cutover:dev
# and shop:dev in it. It stays until `make cluster-down`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
localcluster=$PWD/target/localcluster/localcluster
dir=$PWD/target/cluster

case ${1:-} in
up)
    export_line=$("$localcluster" up --dir "$dir" | tail -n 1)
    tests/cluster/images.sh "$dir"
    echo "kubectl and helm, if you have none: PATH=${localcluster%/*}:\$PATH" >&2
    echo "end the cluster with: make cluster-down" >&2
    echo "$export_line"
    ;;
down)
    if [[ ! -x $localcluster || ! -e $dir ]]; then
        echo "there is no cluster in $dir" >&2
        exit 0
    fi
    "$localcluster" down --dir "$dir"
    for server in "$dir"/postgres/*/server.json; do
        [[ -e $server ]] || continue
        name=${server%/server.json}
        "$localcluster" postgres destroy --dir "$dir" --name "${name##*/}"
    done
    ;;
*)
    echo "usage: $0 up|down" >&2
    exit 2
    ;;
esac
