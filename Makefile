# What there is to run. On a Debian or Ubuntu machine with Rust, Go, make and a C compiler, as root, each of these sets up
# what it needs by itself.

.DEFAULT_GOAL := help
.PHONY: help demo test bench cluster cluster-down tools
.SUFFIXES:

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-22s %s\n", $$1, $$2}'

demo: ## A rollout, a rollback by hand and one by itself, played on a real cluster (5 minutes, once built)
	@[ -n "$$CUTOVER_KUBECONFIG" ] || tests/cluster/setup.sh >&2
	@tests/cluster/build.sh >/dev/null
	@examples/demo/run.sh

test: tools ## Set-up and every test, on a cluster that is started for them
	@tests/cluster/test.sh

bench: tools ## The figures of docs/benchmarks.md, on a cluster that is started for them
	@tests/cluster/bench.sh

cluster: tools ## Start a local cluster and leave it running; the last line printed exports its KUBECONFIG
	@tests/cluster/cluster.sh up

cluster-down: ## End that cluster and all that was started for it
	@tests/cluster/cluster.sh down

# The tool localcluster, and what it needs of the system. Says nothing, and does nothing, when all is there.
tools:
	@tests/cluster/setup.sh >&2
	@tests/cluster/build.sh >/dev/null
