package check

import "trihold/bench/fault/history"

// bank checks every state of the accounts that was seen.
func bank(t *trial) {
	for i := range t.evidence.History.Ops {
		o := &t.evidence.History.Ops[i]
		if o.Outcome != history.OK {
			continue
		}
		switch o.Kind {
		case history.Audit:
			t.verdict.Ops++
			t.balances(describe(o), o.Saw)
		case history.Transfer:
			t.verdict.Ops++
			t.transfer(o)
		}
	}
	for _, f := range t.finals() {
		t.balances(f.Node, f.Accounts)
	}
}

// balances checks all accounts, as someone has seen them.
func (t *trial) balances(who string, all []int64) {
	if len(all) != t.setup.Accounts {
		t.illegal("%s has %d accounts, there are %d", who, len(all), t.setup.Accounts)
		return
	}
	var sum int64
	for i, balance := range all {
		if sum += balance; balance < 0 {
			t.illegal("%s has %d in account %d", who, balance, i)
		}
	}
	if want := int64(t.setup.Accounts) * t.setup.Balance; sum != want {
		t.illegal("%s has %d in all accounts together, there is %d: %v", who, sum, want, short(all))
	}
}

// transfer checks what a transfer saw against what it did.
func (t *trial) transfer(o *history.Op) {
	if len(o.Saw) != 2 {
		t.illegal("%s saw %d balances", describe(o), len(o.Saw))
		return
	}
	switch enough := o.Saw[0] >= o.Value; {
	case o.Saw[0] < 0 || o.Saw[1] < 0:
		t.illegal("%s saw the balances %d and %d", describe(o), o.Saw[0], o.Saw[1])
	case enough && o.Refused:
		t.illegal("%s was refused, and saw %d", describe(o), o.Saw[0])
	case !enough && !o.Refused:
		t.illegal("%s was accepted, and saw %d", describe(o), o.Saw[0])
	}
}
