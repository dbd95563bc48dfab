package fault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trihold/bench/fault/node"
	"trihold/bench/fault/proxy"
)

// A link is a connection that can be broken: the store's own processes are kept by
// a node of their own, and the node under test reaches them through a proxy.
type link struct {
	keeper *victim
	proxy  *proxy.Proxy
}

func newLink(ctx context.Context, c *Cell) (*link, error) {
	keeper, err := startVictim(ctx, node.Config{Command: c.run.config.Node(nil), Name: "keeper", URL: c.Subject.at(c.Dir), Setup: c.crowd.Setup}, nil)
	if err != nil {
		return nil, err
	}
	opened, err := keeper.Open(ctx)
	if err == nil && len(opened.Addresses) == 0 {
		err = fmt.Errorf("%s does not say where it can be reached", opened.Backend)
	}
	if err != nil {
		return nil, errors.Join(err, keeper.kill())
	}
	p, err := proxy.Listen(proxy.Config{Target: opened.Addresses[0], Seed: c.Rand.Uint64()})
	if err != nil {
		return nil, errors.Join(err, keeper.kill())
	}
	return &link{keeper: keeper, proxy: p}, nil
}

func (l *link) close() error { return errors.Join(l.proxy.Close(), l.keeper.kill()) }

// Link is the proxy between the subject and its own processes.
func (c *Cell) Link() *proxy.Proxy { return c.tools.link.proxy }

// linkFault is a fault of the connection for as long as it lasts. struck counts
// what it has done.
func linkFault(name, numbers, about string, lasts time.Duration, t proxy.Toxics, struck func(proxy.Counts) int64) Fault {
	return Fault{
		Name: name, Numbers: numbers, About: about, Needs: Needs{Link: true},
		Break: func(ctx context.Context, c *Cell) error {
			before := struck(c.Link().Counts())
			c.Link().Set(t)
			err := c.Hold(ctx, lasts)
			c.Link().Set(proxy.Toxics{})
			c.Observe(struck(c.Link().Counts()) - before)
			return err
		},
	}
}

// linkFaults break the connection between a program and its store.
func linkFaults() []Fault {
	held := func(c proxy.Counts) int64 { return c.Up.Held + c.Down.Held + c.Kept }
	silence := proxy.Flow{Silence: true}
	faults := []Fault{
		linkFault("link-delay", "F14", "every byte between program and store takes 30 to 50 ms longer, each way", 2*time.Second,
			proxy.Both(proxy.Flow{Delay: 30 * time.Millisecond, Jitter: 20 * time.Millisecond}), func(c proxy.Counts) int64 { return c.Up.Delayed + c.Down.Delayed }),
		linkFault("link-silence", "F09", "nothing comes through for 1.5 s, either way, and no connection is closed; then everything does", 1500*time.Millisecond,
			proxy.Both(silence), held),
		linkFault("link-silence-up", "F10", "the same, for requests alone", 1500*time.Millisecond, proxy.Toxics{Up: silence}, held),
		linkFault("link-silence-down", "F10 F13", "the same, for answers alone: what was asked is done, and nobody hears of it", 1500*time.Millisecond, proxy.Toxics{Down: silence}, held),
		linkFault("link-drop-down", "F13 F49", "answers are thrown away for a second, then their connections are reset", time.Second,
			proxy.Toxics{Down: proxy.Flow{Drop: true}}, func(c proxy.Counts) int64 { return c.Down.Dropped }),
		{Name: "link-narrow", Numbers: "F16", About: "64 KiB a second for all, and the traffic fills it", Needs: Needs{Link: true}, Break: narrow},
		linkFault("link-flip", "F18", "a bit is flipped in every 20,000 bytes, each way, for a second", time.Second,
			proxy.Both(proxy.Flow{FlipEvery: 20_000}), func(c proxy.Counts) int64 { return c.Up.Flipped + c.Down.Flipped }),
		linkFault("link-cut", "F13 F17", "every connection is reset after 2,000 bytes of answers, in the middle of one, for 1.5 s", 1500*time.Millisecond,
			proxy.Toxics{Down: proxy.Flow{CutEvery: 2000}}, func(c proxy.Counts) int64 { return c.Cut }),
		linkFault("link-refuse", "F13", "connections are reset, and new ones refused, for a second", time.Second,
			proxy.Toxics{RefuseNew: true, Down: proxy.Flow{CutEvery: 1}}, func(c proxy.Counts) int64 { return c.Cut + c.Refused }),
	}
	for i := range faults {
		faults[i].Quick = faults[i].Name == "link-silence-down"
		if faults[i].Name == "link-flip" {
			faults[i].Foreign = map[string]string{"rqlite": "HTTP without TLS has no checksum of its own: what TCP's lets through is taken for what was sent"}
		}
	}
	return faults
}

// narrow has struck if one direction has carried about what it could: traffic that
// needs less meets no limit.
func narrow(ctx context.Context, c *Cell) error {
	const perSecond, seconds = 64 << 10, 2
	before := c.Link().Counts()
	c.Link().Set(proxy.Both(proxy.Flow{Bandwidth: perSecond}))
	err := c.Hold(ctx, seconds*time.Second)
	c.Link().Set(proxy.Toxics{})
	after := c.Link().Counts()
	if busiest := max(after.Up.Bytes-before.Up.Bytes, after.Down.Bytes-before.Down.Bytes); busiest > perSecond*seconds/2 {
		c.Observe(busiest)
	}
	return err
}
