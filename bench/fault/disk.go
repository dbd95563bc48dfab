package fault

func diskFaults() []Fault { return nil }
