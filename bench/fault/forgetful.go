package fault

import (
	"context"
	"errors"
	"time"

	"trihold/bench/fault/steps"
)

// migrationControls are migrations that break the promise which all of this is about.
func migrationControls() []control {
	return []control{
		{
			name: "control-no-fence", of: migrationFault(),
			about: "the cutover puts up no fence: the source takes commits that nobody brings over",
			Break: func(ctx context.Context, c *Cell) error {
				return newMigration(c).forgetting(ctx, steps.Fence, func() error {
					return errors.Join(c.Hold(ctx, 100*time.Millisecond), c.current().Release(ctx))
				})
			},
		},
		{
			name: "control-two-open", of: migrationFault(),
			about: "the source is opened where it should be closed, and the process is killed when the target is open, too",
			Break: func(ctx context.Context, c *Cell) error {
				m := newMigration(c)
				return m.forgetting(ctx, steps.Decide, func() error {
					open, err := m.arm(ctx, steps.Rule{Step: steps.Open, After: true})
					if err == nil {
						err = <-open
					}
					if err != nil {
						return err
					}
					return errors.Join(c.Kill(), c.Start(ctx))
				})
			},
		},
	}
}

// forgetting moves the store once, and forgets what a step is for. Behind the step
// something else is done.
func (m *migration) forgetting(ctx context.Context, step steps.Step, then func() error) error {
	m.strikes = nil
	struck, err := m.arm(ctx, steps.Rule{Step: step, After: true, Forget: true})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		err := <-struck
		if err == nil {
			m.cell.Observe(1)
			err = then()
		}
		done <- err
	}()
	moved := m.leg(ctx, m.cell.Subject.To, "target", stay)
	return errors.Join(moved, <-done)
}
