package driver

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A URL names a store and says how to open it:
//
//	inmem:data?class=disk
//	sqlite:/var/lib/app.db?class=replica&replica=file:///mnt/backup
//	rqlite://user:secret@host1:4001,host2:4001
//
// It is not quite a net/url.URL, which knows neither several hosts nor relative
// paths.
type URL struct {
	Scheme string
	User   *url.Userinfo // nil if there is none
	Hosts  []string      // after "//", separated by commas
	Path   string        // everything else before "?"
	Params Params
}

// ParseURL parses a store's URL.
func ParseURL(raw string) (*URL, error) {
	fail := func(why string) (*URL, error) {
		return nil, Failed("parse store URL", ErrInvalid, fmt.Errorf(
			"%s; a store is named like inmem:data, sqlite:app.db or rqlite://host:4001", why))
	}
	scheme, rest, ok := strings.Cut(raw, ":")
	if !ok || scheme == "" {
		return fail("it has no scheme")
	}
	rest, query, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return fail("its parameters are malformed")
	}
	u := &URL{Scheme: scheme, Params: Params{values: values}}
	authority, isHost := strings.CutPrefix(rest, "//")
	if !isHost || strings.HasPrefix(authority, "/") {
		u.Path = strings.TrimPrefix(rest, "//")
		return u, nil
	}
	authority, path, _ := strings.Cut(authority, "/")
	if path != "" {
		u.Path = "/" + path
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		name, password, has := strings.Cut(authority[:at], ":")
		name, err1 := url.PathUnescape(name)
		password, err2 := url.PathUnescape(password)
		if errors.Join(err1, err2) != nil {
			return fail("its user name or password is malformed")
		}
		u.User = url.User(name)
		if has {
			u.User = url.UserPassword(name, password)
		}
		authority = authority[at+1:]
	}
	u.Hosts = strings.Split(authority, ",")
	if slices.Contains(u.Hosts, "") {
		return fail("a host name is missing")
	}
	return u, nil
}

// String returns the URL without its password and without its parameters, fit
// for messages.
func (u *URL) String() string {
	var b strings.Builder
	b.WriteString(u.Scheme + ":")
	if u.Hosts != nil {
		b.WriteString("//")
		if u.User != nil {
			b.WriteString(u.User.Username() + "@")
		}
		b.WriteString(strings.Join(u.Hosts, ","))
	}
	b.WriteString(withoutUser(u.Path))
	return b.String()
}

// withoutUser removes user and password from a path that is itself a URL.
func withoutUser(path string) string {
	begin := strings.Index(path, "//")
	end := strings.LastIndexByte(path, '@')
	if begin < 0 || end < begin {
		return path
	}
	return path[:begin+2] + path[end+1:]
}

// Params are the parameters of a URL. Each is asked for once; Err then reports
// those that nobody asked for, and values that did not parse.
type Params struct {
	values url.Values
	asked  []string
	errs   []error
}

// String returns the parameter, or def if it is not there.
func (p *Params) String(name, def string) string {
	p.asked = append(p.asked, name)
	v, ok := p.values[name]
	if !ok {
		return def
	}
	if len(v) > 1 {
		p.errs = append(p.errs, fmt.Errorf("parameter %s is given %d times", name, len(v)))
	}
	return v[0]
}

// Rest returns the parameters that nobody has asked for yet, as the query of
// another URL, and takes them as asked for: for a store that is opened by way of
// another one.
func (p *Params) Rest() string {
	rest := url.Values{}
	for name, v := range p.values {
		if !slices.Contains(p.asked, name) {
			rest[name] = v
		}
	}
	p.asked = append(p.asked, slices.Sorted(maps.Keys(rest))...)
	return rest.Encode()
}

// Int returns the parameter as an integer.
func (p *Params) Int(name string, def int) int {
	return parseParam(p, name, def, "a whole number", strconv.Atoi)
}

// Bool returns the parameter as a truth value.
func (p *Params) Bool(name string, def bool) bool {
	return parseParam(p, name, def, "1 or 0", strconv.ParseBool)
}

// Duration returns the parameter as a duration, such as 500ms.
func (p *Params) Duration(name string, def time.Duration) time.Duration {
	return parseParam(p, name, def, "a duration such as 500ms", time.ParseDuration)
}

func parseParam[T any](p *Params, name string, def T, want string, parse func(string) (T, error)) T {
	s := p.String(name, "")
	if _, ok := p.values[name]; !ok {
		return def
	}
	v, err := parse(s)
	if err != nil {
		p.errs = append(p.errs, fmt.Errorf("parameter %s=%q is not %s", name, s, want))
	}
	return v
}

// Err returns what was wrong with the parameters, if anything.
func (p *Params) Err() error {
	errs := p.errs
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if !slices.Contains(p.asked, name) {
			known := slices.Sorted(slices.Values(p.asked))
			errs = append(errs, fmt.Errorf("unknown parameter %q; known: %s", name, strings.Join(known, ", ")))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	all := make([]string, len(errs))
	for i, err := range errs {
		all[i] = err.Error()
	}
	return fmt.Errorf("%w: %s", ErrInvalid, strings.Join(all, "; "))
}
