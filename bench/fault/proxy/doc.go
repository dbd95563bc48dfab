// Package proxy stands between a client and a server on TCP, and breaks the
// connection on purpose.
//
// # The nouns
//
// A [Proxy] listens at one address and passes every connection on to its target.
// A [Flow] says how one direction is broken, [Toxics] how both are: Up is from
// client to target, Down is back. [Counts] says what was done, so that an
// injection can be proved: a toxic that did nothing is no experiment.
//
// # Basics
//
//	p, err := proxy.Listen(proxy.Config{Target: "127.0.0.1:4001", Seed: seed})
//	p.Set(proxy.Both(proxy.Flow{Silence: true})) // a partition
//	p.Set(proxy.Toxics{})                        // that heals
//
// Set replaces all toxics at once, for connections old and new. Every byte that
// is sent after Set has returned is treated by them.
//
// # Caveats
//
// A partition that heals is Silence: what was sent arrives, as TCP would send it
// again. Drop loses it, which TCP cannot do: so a connection that lost something
// is reset at the heal, and never goes on with a gap.
//
// A connection made during Silence or Drop, in whichever direction, would not
// come about in a network. Here the client's kernel sees it accepted; nothing is
// passed and the target sees nothing of it until the heal, and if the client has
// given up by then, the target never does. Closing its half counts as giving up,
// which from outside looks the same.
//
// What a toxic sees are the bytes of the stream, not packets: bytes in the buffers
// of the kernel, on either side, are beyond its reach.
package proxy
