#!/usr/bin/env bash
# Installs what the local cluster needs on a Debian or Ubuntu machine.
# Safe to run again: with nothing missing it does nothing and needs neither
# root nor network.
set -euo pipefail

# Each line names a package and a command or file that proves it is there, so
# that the same tools installed in another way count as well. More than one
# proof may be named; any one is enough.
needs='
containerd         containerd-shim-runc-v2
runc               runc
libc-bin           ldd
postgresql         /usr/lib/postgresql/*/bin/initdb initdb
postgresql-contrib /usr/share/postgresql/*/extension/pg_stat_statements.control
pgbouncer          pgbouncer
'

has() {
    local proof match
    for proof in "$@"; do
        case $proof in
        /*)
            for match in $proof; do # unquoted: the pattern is to expand
                [[ -e $match ]] && return 0
            done
            ;;
        *) command -v "$proof" >/dev/null && return 0 ;;
        esac
    done
    return 1
}

# Some of these commands live in sbin, which a plain user's PATH may lack.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing=()
set -f # the proofs are patterns that only has() may expand
while read -r package proofs; do
    [[ -n $package ]] || continue
    # shellcheck disable=SC2086 # one word per proof
    (set +f && has $proofs) || missing+=("$package")
done <<<"$needs"
set +f

if ((${#missing[@]} > 0)); then
    if [[ $(id -u) -ne 0 ]]; then
        echo "missing: ${missing[*]}; install with: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    # Debian's package would create and start a server 'main' on port 5432,
    # which nothing here uses.
    if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
        mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # An existing configuration file, such as the one above, stays as it is.
    apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}"
fi

if ! command -v go >/dev/null; then
    echo "missing: Go 1.26 or newer; install it so that 'go' is in PATH" >&2
    exit 1
fi
