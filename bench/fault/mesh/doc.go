// Package mesh stands between the nodes of a cluster, and breaks what they say to
// each other.
//
// # The nouns
//
// A [Mesh] has a proxy for each ordered pair of nodes: the one that dials, and the
// one that is dialled. A [Pair] is a direction in which bytes flow, whoever has
// dialled; a pair of nodes has two of them, and each connection between the nodes
// has a part in both.
//
// # Basics
//
//	m, err := mesh.New(mesh.Config{Nodes: nodes, Seed: seed})
//	// start node n1 so that it dials n2 at m.Via("n1", "n2")
//	m.Set(m.Around("n1"), proxy.Flow{Silence: true}) // n1 is alone
//	m.Heal()
//
// # Caveats
//
// A direction that lets nothing through lets no new connection come about either,
// whichever of the two dials: TCP needs both directions for that.
package mesh
