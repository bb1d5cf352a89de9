# What the demo stands on: a cluster, two PostgreSQL servers, the sample application, the operator; and taking all of it
# away again. Sourced by run.sh.
# shellcheck shell=bash disable=SC2154 # run.sh assigns them

k() { "$kubectl" --kubeconfig "$kubeconfig" --namespace "$namespace" "$@"; }

h() { "$helm" --kubeconfig "$kubeconfig" --namespace "$operator_namespace" "$@"; }

# --- the cluster ---

start_cluster() {
    started+=(cluster)
    # What an earlier demo may have left, if it was killed.
    "$localcluster" down --dir "$work/cluster" || return
    "$localcluster" up --dir "$work/cluster"
}

find_kubeconfig() {
    [[ -r $kubeconfig ]] || fail "CUTOVER_KUBECONFIG: $kubeconfig cannot be read"
    k version >/dev/null || fail "CUTOVER_KUBECONFIG: the cluster of $kubeconfig does not answer"
    local name
    for name in "$namespace" "$operator_namespace"; do
        k get namespace "$name" >/dev/null 2>&1 && fail "the namespace $name exists already; delete it, the demo makes its own"
    done
    return 0
}

make_namespaces() {
    k get customresourcedefinition databaserollouts.cutover.dev >/dev/null 2>&1 || started+=(crd)
    started+=(namespaces)
    k create namespace "$namespace" &&
        k create namespace "$operator_namespace"
}

# --- PostgreSQL ---

server_says() { # server, name in server.json
    sed -n "s/^ *\"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$work/postgres/$1/server.json"
}

start_server() { # server
    local listen=()
    [[ $postgres_host == 127.0.0.1 ]] || listen=(--listen "$postgres_host")
    started+=("server $1")
    "$localcluster" postgres destroy --dir "$work" --name "$1" &&
        "$localcluster" postgres up --dir "$work" --name "$1" "${listen[@]}" >/dev/null # it prints the password
}

# With the data, address and port that it had.
restart_server() { "$localcluster" postgres up --dir "$work" --name "$1" >/dev/null 9>&-; }

stop_server() { "$localcluster" postgres down --dir "$work" --name "$1"; }

ask_server() { # server, database; the statements come on standard input
    PGPASSWORD=$(server_says "$1" password) "$psql" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 \
        --host 127.0.0.1 --port "$(server_says "$1" port)" --username postgres --dbname "$2"
}

# An ordinary role: cutover refuses to work as a superuser.
make_database() { # server
    ask_server "$1" postgres <<SQL || return
CREATE ROLE shop LOGIN PASSWORD '$password';
CREATE DATABASE shop OWNER shop;
SQL
    DATABASE_URL=$(uri "$1") DATABASE_CA=$(<"$(server_says "$1" ca_file)") "$shop" schema
}

endpoint() { printf '%s:%s' "$postgres_host" "$(server_says "$1" port)"; }

uri() { printf 'postgresql://shop:%s@%s/shop' "$password" "$(endpoint "$1")"; }

find_psql() {
    local found
    if found=$(command -v psql); then
        printf '%s' "$found"
        return
    fi
    for found in /usr/lib/postgresql/*/bin/psql; do
        [[ -x $found ]] && printf '%s' "$found" && return
    done
    fail "psql is missing; tests/cluster/setup.sh installs PostgreSQL"
}

# --- the sample application ---

# Where the pods keep their ledgers of acknowledged writes.
choose_ledger() {
    if k get storageclass --output 'jsonpath={.items[*].metadata.annotations}' 2>/dev/null |
        grep -q 'is-default-class":"true"'; then
        k apply --filename - <<YAML || return
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: ledger}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
YAML
        ledger_volume='persistentVolumeClaim: {claimName: ledger}'
        return
    fi
    mkdir -p "$work/ledger"
    chmod 0777 "$work/ledger" # for the user that the pods run as
    ledger_volume="hostPath: {path: $work/ledger, type: Directory}"
}

manifests() {
    local legacy_ca candidate_ca
    legacy_ca=$(base64 -w0 <"$(server_says legacy ca_file)")
    candidate_ca=$(base64 -w0 <"$(server_says candidate ca_file)")
    sed -e "s|\${NAMESPACE}|$namespace|g" -e "s|\${HOST_NETWORK}|$host_network|g" \
        -e "s|\${LEGACY_URI_BASE64}|$(uri legacy | base64 -w0)|g" -e "s|\${LEGACY_CA_BASE64}|$legacy_ca|g" \
        -e "s|\${CANDIDATE_URI_BASE64}|$(uri candidate | base64 -w0)|g" -e "s|\${CANDIDATE_CA_BASE64}|$candidate_ca|g" \
        -e "s|\${LEDGER_VOLUME}|$ledger_volume|g" \
        -e "s|image: shop:dev|image: $shop_image|" -e 's|imagePullPolicy: Never|imagePullPolicy: IfNotPresent|' \
        "$root"/examples/shop/manifests/*.yaml
}

start_application() {
    local workload
    choose_ledger || return
    manifests | k apply --filename - || return
    for workload in "${workloads[@]}"; do
        k rollout status "$workload" --timeout 120s || return
    done
}

# --- the operator ---

# Pods on the host's network must not meet on a port.
free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    printf '%d' "$port"
}

start_operator() {
    local port=8080
    [[ $host_network == false ]] || port=$(free_port)
    h install cutover "$root/charts/cutover" \
        --set "watchNamespaces={$namespace}" --set "hostNetwork=$host_network" --set "metrics.port=$port" \
        --set "image.repository=${cutover_image%:*}" --set "image.tag=${cutover_image##*:}" --set log.format=text || return
    k --namespace "$operator_namespace" rollout status deployment/cutover --timeout 120s
}

# --- taking it away ---

take_away() { # one of what was started
    case $1 in
    cluster) "$localcluster" down --dir "$work/cluster" ;;
    namespaces)
        # The operator and the application of a cluster that lives on; a local one goes as a whole.
        [[ -n ${CUTOVER_KUBECONFIG:-} ]] || return 0
        h uninstall cutover --ignore-not-found
        k delete namespace "$namespace" "$operator_namespace" --ignore-not-found --timeout 120s
        ;;
    crd)
        [[ -n ${CUTOVER_KUBECONFIG:-} ]] || return 0
        k delete customresourcedefinition databaserollouts.cutover.dev --ignore-not-found --timeout 60s
        ;;
    server\ *) "$localcluster" postgres destroy --dir "$work" --name "${1#server }" ;;
    esac
}

take_all_away() {
    local index
    # Last in, first out; what fails does not keep the rest.
    for ((index = ${#started[@]} - 1; index >= 0; index--)); do
        take_away "${started[index]}" >>"$work/setup.log" 2>&1 ||
            printf 'could not be taken away: %s; see %s\n' "${started[index]}" "$work/setup.log" >&2
    done
    started=()
    rm -rf "$work/ledger"
}
