#!/usr/bin/env bash
# Builds localcluster, and the pause program of its pods, into a folder
# (default: target/localcluster of the repository). Does nothing if what is
# there was built from the same sources. The last line printed is the path of
# the program.
#
# The first build compiles all of Kubernetes: minutes. Later ones use Go's
# build cache: seconds.
set -euo pipefail

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$source_dir/../../target/localcluster}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$source_dir"

# Two builds at once would only double the work.
exec 9>"$out/.lock"
flock 9

# Locale-independent order: the key must be the same for everybody.
key=$({
    go env GOVERSION GOARCH
    find . -type f \( -name '*.go' -o -name go.mod -o -name go.sum -o -name build.sh \) -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum
} | sha256sum | cut -d' ' -f1)

if [[ -x $out/localcluster && -x $out/pause && $(cat "$out/.key" 2>/dev/null) == "$key" ]]; then
    echo "$out/localcluster"
    exit 0
fi

version() { # of a required module
    sed -n "s|^[[:space:]]*$1 \(v[^ ]*\).*|\1|p" go.mod | head -n 1
}
kubernetes=$(version k8s.io/kubernetes)
helm=$(version helm.sh/helm/v4)
IFS=. read -r major minor _ <<<"${kubernetes#v}"

# Linked from modules, Kubernetes would report a placeholder as its version,
# which some clients refuse.
ldflags="-s -w -X helm.sh/helm/v4/internal/version.version=$helm"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    ldflags+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=$major -X $package.gitMinor=$minor"
    ldflags+=" -X $package.gitCommit=unknown -X $package.gitTreeState=clean"
done

# Static programs: no C compiler is needed to build them, and the pause
# program's image holds nothing else.
export CGO_ENABLED=0
echo "building localcluster (Kubernetes $kubernetes); the first time this takes minutes" >&2
rm -f "$out/.key"
# Beside the final name, then renamed: a running cluster keeps the old program.
nice go build -buildvcs=false -trimpath -ldflags "$ldflags" -o "$out/localcluster.new" .
nice go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$out/pause.new" ./pause
mv "$out/localcluster.new" "$out/localcluster"
mv "$out/pause.new" "$out/pause"
for program in kubectl helm; do
    ln -sf localcluster "$out/$program"
done
echo "$key" >"$out/.key"
echo "$out/localcluster"
