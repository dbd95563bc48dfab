package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"trihold/bench"
	"trihold/bench/report"
	"trihold/bench/result"
	"trihold/bench/subject"
	"trihold/bench/workload"
)

type benchFlags struct {
	config bench.Config
	input  subject.Input
	quick  bool
	out    string
	json   bool
}

func newBench(c console) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "compare stores: the same workloads on each, side by side",
		Long: fmt.Sprintf(`bench runs the same workloads on each store, side by side, each run in a fresh
process and a fresh directory, and compares the whole store with what was written
after every run. A run that fails this comparison has no numbers.

Stores are the built-in names %s, names of trihold.yaml, or URLs
with {dir} where the fresh directory goes, such as 'sqlite:{dir}/app.db'. Without
--stores, those built in that can be opened are compared.

With --input the workload is %s: a user's own records, one JSON object a line, of
which --key names the field that identifies a record, and --group one that several
share. Both may be paths, such as author.name.

%s`, strings.Join(bench.BuiltIn(), ", "), workload.Records.Name, exitCodes),
		Example: `  trihold bench --quick -o results.json
  trihold bench --stores inmem,sqlite --workloads ycsb-b --rows 1000000
  trihold bench --input packages.ndjson --key Package --group Section --duration 5s`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, c) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.config.Stores, "stores", nil, "stores to compare (default: "+strings.Join(bench.BuiltIn(), ",")+", as far as they can be opened)")
	fl.StringSliceVar(&f.config.Workloads, "workloads", nil, "workloads to run (default: "+strings.Join(workload.Defaults(), ",")+")")
	fl.StringVar(&f.config.Class, "class", "", "durability class of all stores: memory, process, disk, quorum or replica (default: disk)")
	fl.Int64Var(&f.config.Rows, "rows", 0, "rows to load (default: 100,000; 10,000 with --quick; all of --input)")
	fl.IntVar(&f.config.Clients, "clients", 0, "clients of the closed loop (default: 16)")
	fl.DurationVar(&f.config.Duration, "duration", 0, "length of each loop (default: 10s; 1s with --quick)")
	fl.IntVar(&f.config.Rounds, "rounds", 0, "rounds (default: 5; 3 with --quick)")
	fl.Float64Var(&f.config.Rate, "rate", 0, "operations a second of the open loop (default: half of what the slowest store can do)")
	fl.Uint64Var(&f.config.Seed, "seed", 0, "seed of content, operations and order (default: 1)")
	fl.StringVar(&f.config.Dir, "dir", "", "where the directories of the stores are made (default: that of temporary files)")
	fl.BoolVar(&f.config.Keep, "keep", false, "leave the directories of the stores")
	fl.BoolVar(&f.quick, "quick", false, "a comparison of all in a few minutes: fewer rows, shorter loops, 3 rounds")
	fl.StringVar(&f.input.Path, "input", "", "file of records, one JSON object a line")
	fl.StringVar(&f.input.Key, "key", "", "field of a record that is its key")
	fl.StringVar(&f.input.Group, "group", "", "field of a record that is its group")
	fl.StringVarP(&f.out, "out", "o", "", "write the results to this file, and the report beside it as .html")
	fl.BoolVar(&f.json, "json", false, "print the results as JSON instead of the table")
	cmd.AddCommand(newTargets(c))
	return cmd
}

func (f *benchFlags) run(cmd *cobra.Command, c console) error {
	config, err := f.complete()
	if err != nil {
		return err
	}
	shown := newProgress(c.err)
	config.Progress = shown.show
	file, err := bench.Run(cmd.Context(), config)
	shown.clear()
	if err != nil {
		return err
	}
	if config.Keep {
		fmt.Fprintln(c.err, "the directories of the stores are kept below", file.Machine.Dir)
	}
	return f.print(file, c)
}

// complete returns the configuration that the flags stand for.
func (f *benchFlags) complete() (bench.Config, error) {
	config := f.config
	if f.quick {
		quick := bench.Quick()
		if config.Rows == 0 && f.input.Path == "" {
			config.Rows = quick.Rows
		}
		if config.Duration == 0 {
			config.Duration = quick.Duration
		}
		if config.Rounds == 0 {
			config.Rounds = quick.Rounds
		}
	}
	switch {
	case f.input.Path != "":
		config.Input = &f.input
	case f.input.Key != "" || f.input.Group != "":
		return config, &usageError{"--key and --group name fields of a record: name the file with --input"}
	}
	if f.out != "" && !strings.HasSuffix(f.out, ".json") {
		return config, &usageError{fmt.Sprintf("-o %s: the results are JSON: give a name that ends in .json", f.out)}
	}
	exe, err := os.Executable()
	if err != nil {
		return config, fmt.Errorf("find this program: %w", err)
	}
	config.Subject = subject.Command{Path: exe, Args: []string{"subject"}}
	config.Command = commandLine(os.Args)
	return config, nil
}

// print writes the results and says in its error whether they are good.
func (f *benchFlags) print(file *result.File, c console) error {
	text, err := file.JSON()
	if err != nil {
		return err
	}
	if f.json {
		_, err = c.out.Write(text)
	} else {
		err = report.Text(c.out, file)
	}
	if err != nil {
		return fmt.Errorf("print results: %w", err)
	}
	if f.out != "" {
		if err := writeReports(f.out, text, file, c); err != nil {
			return err
		}
	}
	return judge(file, c)
}

// judge returns an error if a run lost data, or if a subject has no run that
// counts. A single invalid run is only left out.
func judge(file *result.File, c console) error {
	failed, none := 0, 0
	for _, r := range file.Runs {
		if r.Failed != "" {
			failed++
		}
	}
	for _, s := range file.Summaries {
		if s.Rounds == 0 && len(s.Failed) == 0 {
			none++
		}
	}
	if failed == 0 && none == 0 {
		return nil
	}
	fmt.Fprintf(c.err, "trihold: %d of %d runs failed, and %d comparisons have no valid run: the notes below the table, and the runs in the JSON, say why\n", failed, len(file.Runs), none)
	return errReported
}

func writeReports(path string, text []byte, file *result.File, c console) error {
	if err := result.WriteFile(path, text); err != nil {
		return err
	}
	var page strings.Builder
	if err := report.HTML(&page, file); err != nil {
		return err
	}
	html := strings.TrimSuffix(path, filepath.Ext(path)) + ".html"
	if err := result.WriteFile(html, []byte(page.String())); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "results in %s, report in %s\n", path, html)
	return nil
}

// commandLine returns a command as it can be typed.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if quoted[i] = a; a == "" || strings.ContainsAny(a, " \t\n'\"\\$`*?[]{}();&|<>#~") {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
