package fault

// clusterFaults are for stores of several nodes.
func clusterFaults() []Fault { return nil }
