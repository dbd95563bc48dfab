package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"trihold/bench/result"
	"trihold/repo/driver"
	"trihold/repo/migrate"
)

// A migration is one run of a verb below migrate.
type migration struct {
	*operator
	console  console
	verb     migrate.Verb
	flags    migrateFlags
	progress *progress
}

func (m *migration) command() migrate.Command {
	return migrate.Command{Do: m.verb, To: m.flags.to, Options: m.flags.options}
}

// ask has the command carried out and prints the answer.
func (m *migration) ask(ctx context.Context) error {
	a, err := m.do(ctx, m.command())
	if err != nil {
		return err
	}
	return m.finish(a)
}

func (m *migration) plan(ctx context.Context) error {
	a, err := m.do(ctx, m.command())
	if err != nil {
		return err
	}
	if err := m.print(a.Plan, func() { printPlan(m.console.out, a.Plan) }); err != nil {
		return err
	}
	if len(a.Plan.Refusals) > 0 {
		return m.refused(a.Plan)
	}
	m.next("start", "--to", m.flags.to)
	return nil
}

// refused is the error of a plan that something speaks against, which was printed.
func (m *migration) refused(p *migrate.Plan) error {
	reasons := "the reason above is settled"
	if n := len(p.Refusals); n > 1 {
		reasons = fmt.Sprintf("the %d reasons above are settled", n)
	}
	return &usageError{fmt.Sprintf("%s: refused; when %s: %s", m.verb, reasons,
		commandLine([]string{"trihold", "migrate", "plan", m.name, "--to", m.flags.to}))}
}

// start is start or resume.
func (m *migration) start(ctx context.Context) error {
	a, err := m.do(ctx, m.command())
	if err != nil && a.Plan != nil && len(a.Plan.Refusals) > 0 {
		if err := m.print(a.Plan, func() { printRefusals(m.console.out, a.Plan) }); err != nil {
			return err
		}
		return m.refused(a.Plan)
	}
	if err == nil && (m.flags.wait || m.offline()) {
		a, err = m.copied(ctx, m.draw)
	}
	if err != nil {
		return err
	}
	return m.finish(a)
}

func (m *migration) status(ctx context.Context) error {
	if !m.flags.watch {
		return m.ask(ctx)
	}
	_, err := m.watch(ctx, time.Second, func(s *migrate.Status) {
		if m.progress.terminal != nil && !m.flags.json {
			m.draw(s)
			return
		}
		_ = m.print(s, func() { fmt.Fprintln(m.console.out, statusLine(s)) }) // one of many
	}, func(s *migrate.Status) bool { return s.Phase.Over() })
	return err
}

// draw shows the status on the terminal.
func (m *migration) draw(s *migrate.Status) {
	if m.progress.terminal != nil {
		m.progress.draw(statusLine(s))
	}
}

func (m *migration) pause(ctx context.Context) error {
	a, err := m.do(ctx, m.command())
	if err == nil && m.offline() {
		err = driver.Failed("pause", driver.ErrInvalid, errors.New("no program has the store open, so the migration rests already"))
	}
	if err != nil {
		return err
	}
	return m.finish(a)
}

func (m *migration) verify(ctx context.Context) error {
	if err := m.ready(ctx); err != nil {
		return err
	}
	return m.ask(ctx)
}

// ready brings a migration that no program runs to where it can be verified.
func (m *migration) ready(ctx context.Context) error {
	_, err := m.do(ctx, migrate.Command{Do: migrate.DoStatus})
	if err == nil && m.offline() {
		_, err = m.copied(ctx, m.draw)
	}
	return err
}

// cutover holds writes as short as it can. A comparison is kept in memory, so if no
// program runs the migration there is none yet.
func (m *migration) cutover(ctx context.Context) error {
	err := m.ready(ctx)
	if err == nil && m.offline() {
		_, err = m.do(ctx, migrate.Command{Do: migrate.DoVerify})
	}
	if err != nil {
		return err
	}
	return m.ask(ctx)
}

// rollback is a cutover backwards, or gives up what has not been cut over.
func (m *migration) rollback(ctx context.Context) error {
	a, err := m.do(ctx, migrate.Command{Do: migrate.DoStatus})
	if err != nil {
		return err
	}
	if a.Status.Phase == migrate.Switched {
		return m.cutover(ctx)
	}
	return m.ask(ctx)
}

// finish prints the outcome of a verb, and what may come next.
func (m *migration) finish(a migrate.Answer) error {
	m.progress.clear()
	if m.flags.certificate != "" && a.Certificate != nil {
		if err := writeCertificate(m.flags.certificate, a.Certificate); err != nil {
			return err
		}
		fmt.Fprintf(m.console.err, "certificate in %s\n", m.flags.certificate)
	}
	if err := m.print(a, func() { printStatus(m.console.out, a.Status) }); err != nil {
		return err
	}
	switch a.Status.Phase {
	case migrate.Copying:
		m.next("status", "--watch")
	case migrate.Tailing:
		m.next("verify")
	case migrate.Verified:
		m.next("cutover")
	case migrate.Switched:
		m.next("complete")
		m.next("rollback")
	}
	return nil
}

// print prints something as JSON, or as text.
func (m *migration) print(v any, text func()) error {
	m.progress.clear()
	if !m.flags.json {
		text()
		return nil
	}
	if err := json.NewEncoder(m.console.out).Encode(v); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}

// next says what can be done next.
func (m *migration) next(verb string, more ...string) {
	args := append([]string{"trihold", "migrate", verb, m.name}, more...)
	fmt.Fprintf(m.console.err, "next: %s\n", commandLine(args))
}

func writeCertificate(path string, cert *migrate.Certificate) error {
	text, err := json.MarshalIndent(cert, "", "  ")
	if err != nil {
		return fmt.Errorf("write the certificate: %w", err)
	}
	return result.WriteFile(path, append(text, '\n'))
}
