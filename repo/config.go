package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"trihold/repo/driver"
)

// ConfigFile is the name of the file that holds named stores. It is looked for
// in the working directory.
const ConfigFile = "trihold.yaml"

// A Config is the content of trihold.yaml: stores by name, so that swapping the
// backend is one word.
//
//	default: local
//	stores:
//	  local: inmem:data
//	  next: sqlite:app.db?class=disk
//	  cluster: rqlite://db1:4001,db2:4001
type Config struct {
	Default string            `yaml:"default"`
	Stores  map[string]string `yaml:"stores"`
}

// LoadConfig reads a configuration file. Unknown fields are errors.
func LoadConfig(path string) (Config, error) {
	var c Config
	f, err := os.Open(path)
	if err != nil {
		return c, fmt.Errorf("load configuration: %w", err)
	}
	defer f.Close()
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		why := strings.Join(strings.Fields(err.Error()), " ")
		return c, driver.Failed("load configuration "+path, ErrInvalid, errors.New(why))
	}
	return c, nil
}

// Lookup returns the URL of a named store; empty stands for the default one.
func (c Config) Lookup(name string) (string, error) {
	if name == "" {
		name = c.Default
	}
	if url, ok := c.Stores[name]; ok {
		return url, nil
	}
	known := slices.Sorted(maps.Keys(c.Stores))
	if name == "" {
		return "", driver.Failed("look up store", ErrInvalid, fmt.Errorf("no store is chosen and there is no default; choose one of: %s", strings.Join(known, ", ")))
	}
	return "", driver.Failed("look up store", ErrInvalid, fmt.Errorf("no store is called %q; there are: %s", name, strings.Join(known, ", ")))
}

// Resolve returns the URL that name stands for: itself if it is one, or else
// that of the store so called in trihold.yaml.
func Resolve(name string) (string, error) {
	if strings.Contains(name, ":") {
		return name, nil
	}
	c, err := LoadConfig(ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		if name == "" {
			return "", driver.Failed("look up store", ErrInvalid, fmt.Errorf("no store is chosen; name one by URL, such as sqlite:app.db, or write a %s", ConfigFile))
		}
		return "", driver.Failed("look up store", ErrInvalid, fmt.Errorf("%q is neither a URL, such as sqlite:app.db, nor is there a %s to name it", name, ConfigFile))
	}
	if err != nil {
		return "", err
	}
	return c.Lookup(name)
}
