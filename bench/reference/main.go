package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

// verbs are what the program can do, in the order of the usage.
var verbs = []struct {
	name string
	run  func(ctx context.Context, args []string) error
}{
	{"raft", runRaft},
	{"etcd", runEtcd},
	{"damage", runDamage},
	{"wal-write", runWalWrite},
	{"wal-read", runWalRead},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var names []string
	for _, v := range verbs {
		if len(args) > 0 && args[0] == v.name {
			return v.run(ctx, args[1:])
		}
		names = append(names, v.name)
	}
	return fmt.Errorf("the first argument must be one of: %s", strings.Join(names, ", "))
}
