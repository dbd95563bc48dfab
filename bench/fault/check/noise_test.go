package check

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"trihold/bench/fault/history"
	"trihold/repo/repotest"
)

// numbers calls f for every number in a value that is an answer, wherever it is.
func numbers(v reflect.Value, f func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			numbers(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			numbers(v.Field(i), f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			numbers(v.Index(i), f)
		}
	case reflect.Int64, reflect.Int:
		f(v)
	}
}

// Whatever one number in the final content or in an answer is changed, some checker
// must notice. Only those that tell a revision may be another true one.
func TestEveryChangedNumberIsNoticed(t *testing.T) {
	seed := repotest.Seed(t)
	for i := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, i))
		e := simulate(r, small(60))
		var all []reflect.Value
		add := func(v reflect.Value) { all = append(all, v) }
		if i%2 == 0 {
			numbers(reflect.ValueOf(e.Finals[r.IntN(len(e.Finals))]), add)
		} else {
			for i := range e.History.Ops {
				o := &e.History.Ops[i]
				numbers(reflect.ValueOf(&o.Saw), add)
				for j := range o.Steps {
					numbers(reflect.ValueOf(&o.Steps[j].Saw), add)
				}
			}
		}
		if len(all) == 0 {
			continue
		}
		v := all[r.IntN(len(all))]
		was := v.Int()
		v.SetInt(was + 1 - 2*r.Int64N(2))
		noticed := false
		for _, verdict := range Run(t.Context(), e) {
			noticed = noticed || verdict.Result == Illegal
		}
		if !noticed {
			t.Fatalf("history %d of seed %d: a %d that became %d was not noticed", i, seed, was, v.Int())
		}
	}
}

// A verdict about nonsense may be anything, but there must be one.
func TestNonsenseIsJudged(t *testing.T) {
	seed := repotest.Seed(t)
	for i := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, i))
		e := simulate(r, small(40))
		var times []time.Duration
		for _, o := range e.History.Ops {
			times = append(times, o.Begin, o.End)
		}
		strange := func(v reflect.Value) {
			if r.IntN(8) == 0 {
				v.SetInt(r.Int64N(12) - 4)
			}
		}
		numbers(reflect.ValueOf(&e.History.Ops), strange)
		for j := range e.History.Ops {
			if o := &e.History.Ops[j]; i%4 > 0 { // else the history is damaged, and that is all
				o.ID, o.Begin, o.End = int64(j+1), times[2*j], times[2*j+1]
			}
		}
		for _, f := range e.Finals {
			numbers(reflect.ValueOf(f), strange)
			f.Registers[r.Int64N(5)] = r.Int64N(5)
			f.Lists[r.Int64N(5)-2] = []int64{r.Int64N(5), r.Int64N(500)}
		}
		for j := range e.History.Ops {
			o := &e.History.Ops[j]
			if r.IntN(8) == 0 {
				o.Kind = everyKind[r.IntN(len(everyKind))]
			}
			if r.IntN(8) == 0 && o.Outcome == history.OK {
				o.Refused = !o.Refused
			}
			if r.IntN(8) == 0 {
				o.Saw, o.Steps = nil, nil
			}
		}
		for _, v := range Run(t.Context(), e) {
			if i%4 > 0 && strings.Contains(v.Detail, "damaged") {
				t.Fatalf("history %d of seed %d: %s", i, seed, v.Detail)
			}
			if strings.Contains(v.Detail, "bug of the checker") {
				t.Errorf("history %d of seed %d: %s", i, seed, v.Detail)
			}
			if v.Result != OK && v.Detail == "" {
				t.Errorf("history %d of seed %d: %s is %s, and does not say why", i, seed, v.Checker, v.Result)
			}
		}
	}
}

func TestAVerdictReadsBackAsItWasWritten(t *testing.T) {
	want := Verdict{Checker: "durable", Result: Illegal, Detail: "lost", Ops: 3, Took: 4, Lost: 5, LostFor: 6}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Verdict
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%s reads back as %+v, %v", text, got, err)
	}
}

func TestADamagedHistoryProvesNothing(t *testing.T) {
	for name, spoil := range map[string]func(o *history.Op){
		"an end before its begin":            func(o *history.Op) { o.Begin, o.End = 2, 1 },
		"a number given twice":               func(o *history.Op) { o.ID++ },
		"no outcome":                         func(o *history.Op) { o.Outcome = "" },
		"an unknown outcome that has an end": func(o *history.Op) { o.Outcome, o.End = history.Unknown, o.Begin+1 },
		"a failure with an answer":           func(o *history.Op) { o.Outcome, o.End, o.Saw = history.Failed, o.Begin+1, []int64{1} },
	} {
		e := simulate(rand.New(rand.NewPCG(14, 0)), small(40))
		spoil(&e.History.Ops[20])
		for _, v := range Run(t.Context(), e) {
			if v.Result != Unknown || !strings.Contains(v.Detail, "the history itself is damaged") {
				t.Errorf("%s: %s is %s: %s", name, v.Checker, v.Result, v.Detail)
			}
		}
	}
}
