# What the demo prints, and how it follows a rollout. Sourced by run.sh.
# shellcheck shell=bash disable=SC2154 # run.sh assigns them

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[0m'
else
    bold='' dim='' red='' green='' yellow='' plain=''
fi

clock() { printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)); }

title() { printf '\n%s=== %s%s\n' "$bold" "$*" "$plain"; }

say() { printf '%s\n' "$@"; }

# Shows a command as a person would type it, and runs it: the words are those of a machine with kubectl set up.
type_kubectl() {
    local word shown='$ kubectl'
    for word in -n "$namespace" "$@"; do
        [[ $word == *['{" ']* ]] && word="'$word'"
        shown+=" $word"
    done
    printf '\n%s%s%s\n' "$bold" "$shown" "$plain"
    k "$@"
}

# Runs a command whose output only matters if it fails. (Bash ignores `set -e` in it.)
step() { # what, command...
    local what=$1 since=$SECONDS
    shift
    printf '  %s ... ' "$what"
    # Without the lock's file: what is started here may outlive this script, if that is killed.
    if "$@" >>"$work/setup.log" 2>&1 9>&-; then
        printf '%d s\n' $((SECONDS - since))
    else
        printf '%sfailed%s\n' "$red" "$plain"
        tail -n 20 "$work/setup.log" >&2
        exit 1
    fi
}

# --- following the rollout ---

# One line a change, and in a file, for wait_for, what it is now.
readonly status_template='{{with .status}}{{.phase}}|{{.activeConfig}}|{{.progress}}|{{range .stages}}{{.name}}={{.phase}} {{end}}|{{.message}}{{"\n"}}{{end}}'
readonly event_template='{{.type}}|{{.reason}}|{{.message}}{{"\n"}}'

show_status() {
    local phase active progress stages message colour last=''
    while IFS='|' read -r phase active progress stages message; do
        printf '%s %s\n' "$phase" "$stages" >"$work/now"
        [[ $phase/$active/$stages == "$last" ]] && continue
        last=$phase/$active/$stages
        case $phase in
        Completed | RolledBack) colour=$green ;;
        RollingBack | Held) colour=$yellow ;;
        *) colour='' ;;
        esac
        printf '%5s  %s%-11s %-9s %s%s  %s\n' "$(clock)" "$colour" "$phase" "$active" "$progress" "$plain" "$(moving "$stages" "$message")"
    done
}

# The stages that are on their way; where there are none, what the status says.
moving() { # stages, message
    local stage told=''
    for stage in $1; do
        case $stage in
        *=Waiting | *=Done | *=RolledBack) ;;
        *) told+="${told:+, }${stage%%=*}: ${stage#*=}" ;;
        esac
    done
    printf '%s' "${told:-$2}"
}

# What the status does not show already: what was measured, and what went wrong.
show_events() {
    local type reason message colour
    while IFS='|' read -r type reason message; do
        case $reason in
        *Started | StagePromoted | StageDone | Completed | RolledBack) [[ $type == Warning ]] || continue ;;
        esac
        [[ $type == Warning ]] && colour=$yellow || colour=$dim
        printf '%s         . %s: %s%s\n' "$colour" "$reason" "$message" "$plain"
    done
}

# Starts `kubectl get ... --watch` into a reader that ends with it.
watch_into() { # reader, what to get...
    local reader=$1 pipe
    shift
    pipe=$work/$reader.pipe
    rm -f "$pipe"
    mkfifo "$pipe"
    "$reader" <"$pipe" &
    followers+=($!)
    "$kubectl" --kubeconfig "$kubeconfig" --namespace "$namespace" get "$@" --watch >"$pipe" 2>>"$work/watch.log" &
    followers+=($!)
}

follow() {
    : >"$work/now"
    watch_into show_status databaserollouts --output "go-template=$status_template"
    watch_into show_events events --field-selector involvedObject.kind=DatabaseRollout --output "go-template=$event_template"
}

unfollow() {
    ((${#followers[@]})) || return 0
    kill "${followers[@]}" 2>/dev/null || true
    wait "${followers[@]}" 2>/dev/null || true
    followers=()
}

# Waits until the rollout is as it should be; fails as soon as it is as it should not be.
wait_for() { # what, seconds, pattern of the good, pattern of the bad
    local what=$1 until=$((SECONDS + $2)) good=$3 bad=$4 now
    while ((SECONDS < until)); do
        now=$(<"$work/now")
        # shellcheck disable=SC2254 # these are patterns
        case $now in
        $good)
            # Events come a moment after the status.
            sleep 1
            return 0
            ;;
        $bad) fail "$what: it became $now" ;;
        esac
        sleep 0.2
    done
    fail "$what: not within $2 s; it is $now"
}
