# make help lists what there is.

GO      ?= go
SEED    ?=
export CGO_ENABLED ?= 1

.DEFAULT_GOAL := help
.PHONY: help build test bench fault fault-full migrate-demo migrate-torture cluster-torture inmem-corruption mutants lint clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: bin/rqlited ## build bin/trihold, and bin/rqlited where there is a C compiler
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/trihold ./cmd/trihold

# rqlited is SQLite in C. Without a C compiler the two other backends still work.
bin/rqlited: tools.mod tools.sum
	@mkdir -p bin
	@if command -v $$($(GO) env CC | cut -d' ' -f1) >/dev/null 2>&1; then \
		echo "building bin/rqlited (a minute or two, once)"; \
		CGO_ENABLED=1 $(GO) build -modfile=tools.mod -trimpath -o bin/rqlited github.com/rqlite/rqlite/v8/cmd/rqlited; \
	else \
		echo "no C compiler: going on without rqlite (to have it: install gcc or clang, e.g. apt-get install gcc libc6-dev, and run make build again)"; \
	fi

# What the in-memory cluster is measured against: etcd and bare Raft, in a module of
# their own.
bin/reference: $(wildcard bench/reference/*.go) bench/reference/go.mod bench/reference/go.sum
	@mkdir -p bin
	cd bench/reference && CGO_ENABLED=0 $(GO) build -trimpath -o ../../bin/reference .

bin/staticcheck: tools.mod tools.sum
	@mkdir -p bin
	$(GO) build -modfile=tools.mod -o bin/staticcheck honnef.co/go/tools/cmd/staticcheck

test: build lint ## everything that must hold before a change lands
	$(GO) test -timeout 15m ./...
	$(GO) test -timeout 15m -race -short ./repo/... ./inmem/... ./sqlitebackend/... ./internal/...

bench: build ## the quick head-to-head on all three backends
	bin/trihold bench --quick -o bench-results/quick.json

fault: build ## the faults that tell most, on all three backends
	bin/trihold fault --quick -o bench-results/fault.json

migrate-torture: build ## move stores between all backends 300 times, and kill what takes part at every step
	bin/trihold fault --migrations --rounds 50 $(if $(SEED),--seed $(SEED)) -o bench-results/migrations.json

cluster-torture: build ## every fault of a cluster of three, 100 times with other seeds (ROUNDS, SEED)
	bin/trihold fault --stores inmem/quorum --rounds $(or $(ROUNDS),100) $(if $(SEED),--seed $(SEED)) -o bench-results/cluster.json

fault-full: build ## every fault that this machine and user allow
	bin/trihold fault -o bench-results/fault-full.json

migrate-demo: build ## move a store of a million rows through all three backends under load
	bin/trihold migrate demo --rows 1000000 --rate 1000 -o bench-results/migrate-demo

inmem-corruption: build bin/reference ## damage every part of every file of the in-memory store, and of raft-wal for comparison
	@mkdir -p bench-results
	bin/reference damage -cases 400 $(if $(SEED),-seed $(SEED)) >bench-results/raft-wal.json
	bin/trihold fault corruption $(if $(SEED),--seed $(SEED)) --reference bench-results/raft-wal.json -o bench-results/corruption.json

mutants: ## break our own code on purpose, and see the suite notice
	$(GO) test -tags mutants -timeout 30m -v ./bench/fault/mutants

lint: bin/staticcheck ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	bin/staticcheck ./...

clean: ## remove what the other targets made
	rm -rf bin bench-results
