package rqlitebackend

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"trihold/repo/driver"
)

// Scheme is the scheme of this backend's URLs.
const Scheme = "rqlite"

// defaultPort is where rqlite listens unless it is told otherwise.
const defaultPort = "4001"

// A Config says which rqlite to use: one that runs already, by Hosts, or one that
// the store starts and stops itself, by Dir and Managed.
type Config struct {
	// Hosts are the addresses of an rqlite that runs already, each host or
	// host:port. All must belong to one cluster. Any will do for any request;
	// another is used when one fails.
	Hosts []string
	// User and Password are for Hosts, if it asks for them.
	User, Password string

	// Dir is the directory of a managed rqlite. It is created if it is missing,
	// and must be empty or one of this backend. One program at a time uses it.
	Dir string
	// Managed is the number of rqlited to run in Dir; the default is 1.
	Managed int
	// Binary is the rqlited to run; the default is the first of: TRIHOLD_RQLITED,
	// beside the running program, in bin of the working directory or above it up
	// to the root of the module, in $PATH.
	Binary string

	// Class is disk, and nothing else: rqlite always syncs its log.
	Class driver.Class
	// Patience is how long a request whose context has no deadline is tried again
	// while rqlite cannot be reached; the default is 30 s.
	Patience time.Duration
	// Logger hears of the managed process; the default is slog.Default.
	Logger *slog.Logger
}

func init() { driver.Register(Scheme, openURL) }

func openURL(ctx context.Context, u *driver.URL) (driver.Store, error) {
	c := Config{Hosts: u.Hosts, Dir: u.Path}
	c.Managed = u.Params.Int("managed", 0)
	c.Binary = u.Params.String("binary", "")
	c.Class = driver.Class(u.Params.String("class", ""))
	c.Patience = u.Params.Duration("patience", 0)
	if err := u.Params.Err(); err != nil {
		return nil, err
	}
	if u.User != nil {
		c.User = u.User.Username()
		c.Password, _ = u.User.Password()
	}
	if len(u.Hosts) > 0 && u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("%s takes a host or a directory, not both; leave out %q: %w", Scheme, u.Path, driver.ErrInvalid)
	}
	if len(u.Hosts) > 0 {
		c.Dir = ""
	}
	if c.Dir != "" && c.Managed == 0 {
		return nil, fmt.Errorf("%s is a directory: say rqlite:%s?managed=1 to run an rqlite in it, or name a host, such as rqlite://localhost:4001: %w", c.Dir, c.Dir, driver.ErrInvalid)
	}
	return Open(ctx, c)
}

// validate checks a Config and fills in its defaults.
func (c *Config) validate() error {
	var err error
	if c.Class, err = driver.ParseClass(string(c.Class), Scheme, driver.Disk); err != nil {
		return err
	}
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), driver.ErrInvalid)
	}
	switch {
	case len(c.Hosts) > 0 && (c.Dir != "" || c.Managed != 0 || c.Binary != ""):
		return invalid("a directory, managed and binary are for an rqlite that is started here, and a host is for one that runs already; choose one of them")
	case len(c.Hosts) == 0 && c.Dir == "":
		return invalid("name a host, such as rqlite://localhost:4001, or a directory to run one in, such as rqlite:data?managed=1")
	case c.Managed < 0 || c.Managed > 1:
		return invalid("managed=%d: this version runs one node, say managed=1", c.Managed)
	case c.Dir != "" && c.User != "":
		return invalid("a managed rqlite knows no users; leave out user and password")
	case c.Patience < 0:
		return invalid("a patience of %v", c.Patience)
	}
	if c.Hosts, err = withPorts(c.Hosts); err != nil {
		return err
	}
	if c.Patience == 0 {
		c.Patience = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// withPorts adds the default port where there is none.
func withPorts(hosts []string) ([]string, error) {
	out := make([]string, len(hosts))
	for i, host := range hosts {
		out[i] = host
		if _, _, err := net.SplitHostPort(host); err != nil {
			out[i] = net.JoinHostPort(strings.Trim(host, "[]"), defaultPort)
		}
		if name, _, err := net.SplitHostPort(out[i]); err != nil || name == "" || strings.ContainsAny(out[i], "/@? ") {
			return nil, fmt.Errorf("%q is no host or host:port: %w", host, driver.ErrInvalid)
		}
	}
	return out, nil
}
