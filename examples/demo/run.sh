#!/usr/bin/env bash
# The demo (`make demo`). On a real cluster, with two real PostgreSQL servers, it plays a rollout in four stages, a rollback
# by hand, and a rollback that happens by itself. It takes everything away again, however it ends.
#
# Environment:
#   CUTOVER_KUBECONFIG     use this cluster, instead of starting a local one
#   CUTOVER_IMAGE          with it: the operator's image, with a tag (default cutover:dev)
#   SHOP_IMAGE             with it: the sample application's image (default shop:dev)
#   CUTOVER_POSTGRES_HOST  with it: where pods reach the PostgreSQL servers that this starts on this machine. Default
#                          127.0.0.1, with pods on the host's network
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
demo=$root/examples/demo
work=$root/target/demo
localcluster=$root/target/localcluster/localcluster
kubectl=$root/target/localcluster/kubectl
helm=$root/target/localcluster/helm
shop=${CARGO_TARGET_DIR:-$root/target}/debug/examples/shop

kubeconfig=$(realpath -m "${CUTOVER_KUBECONFIG:-$work/cluster/kubeconfig}")
cd "$root"
cutover_image=${CUTOVER_IMAGE:-cutover:dev}
shop_image=${SHOP_IMAGE:-shop:dev}
postgres_host=${CUTOVER_POSTGRES_HOST:-127.0.0.1}
[[ $postgres_host == 127.0.0.1 ]] && host_network=true || host_network=false

namespace="shop-demo"
operator_namespace="cutover-demo"
workloads=(deployment/reporting deployment/api statefulset/workers daemonset/writers)
password=$(head -c 18 /dev/urandom | base64 | tr -d '/+=')
started=()   # what is to be taken away
followers=() # processes that print what happens
rollbacks=() # what the status said about each

# shellcheck source=examples/demo/show.sh
. "$demo/show.sh"
# shellcheck source=examples/demo/ground.sh
. "$demo/ground.sh"

fail() {
    unfollow
    printf '%sThe demo failed:%s %s\n' "$red" "$plain" "$*" >&2
    exit 1
}

finish() {
    local code=$?
    trap '' INT TERM HUP
    trap - EXIT
    unfollow
    ((code == 0 || code > 128)) || tell_what_is_there >&2
    ((${#started[@]})) && say "${dim}taking everything away ...$plain"
    take_all_away
    exit "$code"
}

tell_what_is_there() {
    [[ " ${started[*]} " == *" namespaces "* ]] || return 0
    printf '\n--- the operator, its last lines\n'
    k --namespace "$operator_namespace" logs deployment/cutover --tail 40 2>&1 || true
    printf '\n--- the pods\n'
    k get pods --all-namespaces --output wide 2>&1 || true
    printf '\n--- the rollout\n'
    k get databaserollouts --output yaml 2>&1 || true
}

# --- what is played ---

prepare() {
    mkdir -p "$work"
    exec 9>"$work/.lock"
    flock --nonblock 9 || fail "another demo runs in $work"
    : >"$work/setup.log"
    psql=$(find_psql)
    title "The ground"
    if [[ -n ${CUTOVER_KUBECONFIG:-} ]]; then
        step "building the sample application" cargo build --locked --manifest-path "$root/Cargo.toml" --example shop
        find_kubeconfig
        say "  the cluster of $kubeconfig"
    else
        [[ $(id -u) == 0 ]] || fail "starting a local cluster needs root; or name a cluster of yours in CUTOVER_KUBECONFIG"
        step "starting a cluster with one node" start_cluster
        step "building cutover and the sample application, making images" "$root/tests/cluster/images.sh" "$work/cluster"
    fi
    step "namespaces $namespace and $operator_namespace" make_namespaces
    step "a PostgreSQL server: legacy" start_server legacy
    step "a PostgreSQL server: candidate" start_server candidate
    step "the shop's tables on both" make_databases
    step "the operator, by its Helm chart" start_operator
    step "the shop, on legacy: ${workloads[*]}" start_application
}

make_databases() { make_database legacy && make_database candidate; }

act_one() {
    title "Act 1. Four stages, from legacy to candidate"
    say "The shop runs on one server, legacy (port $(server_says legacy port)), and shall run on another, candidate (port $(server_says candidate port))." \
        "Reporting, which only reads, goes first; then api and workers side by side; then writers."
    type_kubectl apply -f examples/demo/rollout.yaml
    wait_for "Act 1" 400 'Completed *' '@(Held|RollingBack|RolledBack) *'
    show_measurements
    type_kubectl get dbr
}

show_measurements() {
    k get dbr shop --output go-template='
legacy, before anything was changed: {{.status.baseline.result.message}}
{{range .status.stages}}{{if .load}}candidate, before {{.name}} was promoted: {{.load.message}}
{{end}}{{end}}after the last stage: {{.status.finalValidation.load.message}}
'
}

act_two() {
    title "Act 2. Back to legacy, by hand"
    say "Is there a way back, and what does it cost? The rollout says so at every moment:"
    k get dbr shop --output 'go-template={{range .status.conditions}}{{if eq .type "RollbackSafe"}}  RollbackSafe={{.status}} ({{.reason}}): {{.message}}{{"\n"}}{{end}}{{end}}'
    say "Nothing replicates the candidate's orders back in this demo. Somebody decides to go back all the same:"
    type_kubectl patch dbr shop --type merge -p '{"spec":{"activeConfig":"Legacy"}}'
    wait_for "Act 2" 90 'RolledBack *' 'Held *'
    remember_rollback "Act 2"
}

act_three() {
    title "Act 3. A candidate that breaks"
    say "Once more to the candidate. This time its server goes away while promoted stages are being watched."
    type_kubectl patch dbr shop --type merge -p '{"spec":{"activeConfig":"Candidate"}}'
    wait_for "Act 3" 300 '*api=Soaking*' '@(Held|RollingBack|Completed) *'
    printf '%5s  %sthe candidate'\''s server is stopped now; nobody tells cutover%s\n' "$(clock)" "$red" "$plain"
    stop_server candidate
    wait_for "Act 3" 120 'RolledBack *' '@(Held|Completed) *'
    remember_rollback "Act 3"
    k get dbr shop --output 'go-template={{"\n"}}why:   {{.status.failure.reason}}, stage {{.status.failure.stage}}: {{.status.failure.message}}
now:   {{.status.message}}{{"\n"}}'
}

remember_rollback() { # act
    local said
    said=$(k get dbr shop --output 'jsonpath={.status.rollback.trigger}, {.status.rollback.durationMs} ms: {.status.rollback.message}')
    rollbacks+=("$1: $said")
}

# --- the summary: nothing in it is known from above, all is asked ---

summary() {
    title "What is there now"
    # Its data was never gone: what the candidate had acknowledged must still be there.
    restart_server candidate >>"$work/setup.log" 2>&1
    show_workloads
    say ""
    show_servers
    say ""
    verify_ledgers
    say "" "rollbacks, as their status told:"
    printf '  %s\n' "${rollbacks[@]}"
}

show_workloads() {
    local workload name ready side
    printf '%-24s %-10s %-10s %s\n' workload active pods 'pool'
    for workload in "${workloads[@]}"; do
        name=${workload#*/}
        case $(k get secret "$name-db" --output 'go-template={{.data.DATABASE_URL | base64decode}}') in
        *"@$(endpoint legacy)/"*) side=legacy ;;
        *"@$(endpoint candidate)/"*) side=candidate ;;
        *) side=unknown ;;
        esac
        ready=$(k get "$workload" --output 'go-template={{if .status.numberReady}}{{.status.numberReady}}/{{.status.desiredNumberScheduled}}{{else}}{{.status.readyReplicas}}/{{.status.replicas}}{{end}}')
        printf '%-24s %-10s %-10s %s\n' "$workload" "$side" "$ready ready" \
            "$(k get configmap "$name-db" --output 'jsonpath={.data.DB_POOL_MAX}')"
        [[ $side == legacy ]] || fail "$workload is on $side, and should be on legacy"
    done
}

show_servers() {
    local server sessions orders
    printf '%-12s %-16s %s\n' server 'shop sessions' orders
    for server in legacy candidate; do
        sessions=$(ask_server "$server" shop <<<"SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'")
        orders=$(ask_server "$server" shop <<<"SELECT count(*) FROM orders")
        printf '%-12s %-16s %s\n' "$server" "$sessions" "$orders"
        # What the application does counts more than what its configuration says.
        [[ $server == candidate && $sessions != 0 ]] && fail "the candidate still has sessions of the shop"
    done
    say "The candidate's orders are still there and nowhere else: cutover moves applications, not data."
}

# In a pod, because that is where the ledgers are; `shop verify` asks each server for what it had acknowledged.
verify_ledgers() {
    local phase=''
    k create secret generic verify --from-literal=legacy="legacy=$(uri legacy)" \
        --from-literal=candidate="candidate=$(uri candidate)" >/dev/null
    k apply --filename - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: verify}
spec:
  restartPolicy: Never
  hostNetwork: $host_network
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532}
  containers:
  - name: verify
    image: $shop_image
    imagePullPolicy: IfNotPresent
    args: [verify, --ledger, /ledger, --ca, /ca/ca.crt, --database, \$(LEGACY), --database, \$(CANDIDATE)]
    env:
    - {name: LEGACY, valueFrom: {secretKeyRef: {name: verify, key: legacy}}}
    - {name: CANDIDATE, valueFrom: {secretKeyRef: {name: verify, key: candidate}}}
    volumeMounts:
    - {name: ledger, mountPath: /ledger}
    - {name: ca, mountPath: /ca}
  volumes:
  - name: ledger
    $ledger_volume
  - name: ca
    secret: {secretName: shop-db-legacy, items: [{key: ca.crt, path: ca.crt}]}
YAML
    say "writes that the shop was promised (its ledgers), looked for on the server that promised:"
    for _ in {1..60}; do
        phase=$(k get pod verify --output 'jsonpath={.status.phase}')
        [[ $phase == Succeeded || $phase == Failed ]] && break
        sleep 0.5
    done
    k logs verify | sed 's/^/  /'
    [[ $phase == Succeeded ]] || fail "shop verify: $phase"
}

main() {
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    prepare
    follow
    act_one
    act_two
    act_three
    unfollow
    summary
    printf '\n%sAll three acts ended as they should, after %s.%s\n' "$green" "$(clock)" "$plain"
}

main "$@"
