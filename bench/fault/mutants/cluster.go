package mutants

// Cluster returns the mutants of what only several nodes do.
func Cluster() []Mutant { return nil }
