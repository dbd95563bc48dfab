package workload

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"

	"trihold/internal/digest"
	"trihold/repo"
)

// A Verdict is what a verification that found nothing wrong has seen.
type Verdict struct {
	Rows   int64    `json:"rows"`
	Digest string   `json:"digest"`
	Rev    repo.Rev `json:"rev"`
	Probes []Probe  `json:"-"`
}

// A Probe is a row that is in the store, by its key and the write that made it.
type Probe struct {
	Key   int64 `json:"key"`
	Stamp Stamp `json:"stamp"`
}

// probes is how many rows a verdict names at most.
const probes = 16

// maxFindings is how many findings a Mismatch spells out.
const maxFindings = 3

// A Mismatch says that a store does not hold what it acknowledged.
type Mismatch struct {
	Findings []string // the first few
	Count    int
}

func (m *Mismatch) Error() string {
	s := strings.Join(m.Findings, "; ")
	if more := m.Count - len(m.Findings); more > 0 {
		s += fmt.Sprintf("; and %d more", more)
	}
	return "verification failed: " + s
}

func (m *Mismatch) add(format string, args ...any) {
	if m.Count++; len(m.Findings) < maxFindings {
		m.Findings = append(m.Findings, fmt.Sprintf(format, args...))
	}
}

func (k *keyed[T]) Verify(ctx context.Context, s *repo.Store) (v Verdict, err error) {
	var m *Mismatch
	err = s.View(ctx, func(tx *repo.ReadTx) error {
		v, m, err = k.compare(k.table.All().Rows(tx))
		return err
	})
	if err != nil {
		return v, fmt.Errorf("verify: %w", err)
	}
	d, err := s.Digest(ctx)
	if err != nil {
		return v, fmt.Errorf("verify: %w", err)
	}
	if v.Rev = d.Rev; d.Sum != v.Digest {
		m.add("the store's digest is %s, that of the rows it returned is %s", d.Sum, v.Digest)
	}
	if m.Count > 0 {
		return v, m
	}
	return v, nil
}

// compare compares rows, which should be all of the table in order, with the
// history.
func (k *keyed[T]) compare(all iter.Seq2[T, error]) (Verdict, *Mismatch, error) {
	h := k.history
	m := &Mismatch{Findings: h.wrong, Count: h.wrongs}
	def := k.schema.Driver().Tables[0]
	var sum digest.Sum
	seen := make([]bool, h.next)
	step := max(h.next/probes, 1)
	var v Verdict
	var got, want []byte
	last := ""
	for row, err := range all {
		if err != nil {
			return v, m, err
		}
		key := k.rows.keyOf(&row)
		if v.Rows > 0 && key <= last {
			m.add("row %s comes after row %s", key, last)
		}
		last = key
		v.Rows++
		got = def.Encode(got[:0], &row)
		n, stamp, err := k.rows.stamp(&row)
		if err != nil || n < 0 || n >= h.next || k.rows.key(n) != key {
			m.add("row %s was not written by this run", key)
			continue
		}
		chosen, err := k.rows.make(n, stamp)
		if err != nil {
			return v, m, err
		}
		want = def.Encode(want[:0], &chosen)
		if !bytes.Equal(got, want) {
			m.add("row %s is not as write %d made it", key, stamp.Write)
		} else if finding := h.judge(n, stamp); finding != "" {
			m.add("row %s %s", key, finding)
		}
		sum.Add(want)
		seen[n] = true
		if n%step == 0 && len(v.Probes) < probes {
			v.Probes = append(v.Probes, Probe{n, stamp})
		}
	}
	for n, ok := range seen {
		if !ok && h.present(int64(n)) {
			m.add("row %s is lost", k.rows.key(int64(n)))
		}
	}
	v.Digest = digest.Whole([]string{def.Name}, []digest.Sum{sum}).String()
	return v, m, nil
}

func (k *keyed[T]) Check(ctx context.Context, s *repo.Store, p Probe) error {
	def := k.schema.Driver().Tables[0]
	want, err := k.rows.make(p.Key, p.Stamp)
	if err != nil {
		return err
	}
	key := k.rows.key(p.Key)
	var row T
	err = s.View(ctx, func(tx *repo.ReadTx) (err error) {
		row, err = k.table.Get(tx, key)
		return err
	})
	if err != nil {
		return err
	}
	if !bytes.Equal(def.Encode(nil, &row), def.Encode(nil, &want)) {
		return &Mismatch{Findings: []string{fmt.Sprintf("row %s is not as write %d made it", key, p.Stamp.Write)}, Count: 1}
	}
	return nil
}
