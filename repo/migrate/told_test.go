package migrate

import (
	"context"
	"testing"
)

// completedHalf brings a migration to its end, but for what the source is told.
func completedHalf(t *testing.T) (s *service, source string) {
	t.Helper()
	s = open(t, place(t, "inmem"))
	s.fill(100)
	s.must(Command{Do: DoStart, To: place(t, "sqlite")})
	s.await(Tailing)
	s.must(Command{Do: DoVerify})
	source = s.must(Command{Do: DoCutover}).Status.Source
	err := s.live.migration.do(t.Context(), func(ctx context.Context, m *mover) error {
		rec := m.live.record
		rec.Phase = Completed
		_, _, err := m.live.commit(ctx, rec, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, source
}

func TestASourceThatWasNotToldOfTheEndIsToldByTheNextStart(t *testing.T) {
	s, source := completedHalf(t)
	s.close()
	s.reopen()
	side, err := s.live.side(t.Context(), source)
	if err != nil || side.record.Phase != Completed {
		t.Errorf("the source's record says %q, %v", side.record.Phase, err)
	}
}

func TestASourceThatWasNeverToldOfTheEndLeadsToTheNextMigration(t *testing.T) {
	s, _ := completedHalf(t)
	s.must(Command{Do: DoStart, To: place(t, "inmem")})
	s.await(Tailing)
	id := s.must(Command{Do: DoStatus}).Status.ID
	s.close()
	s.reopen()
	if st := s.must(Command{Do: DoStatus}).Status; st.ID != id || st.Phase != Tailing {
		t.Errorf("opened again, the migration is %+v, want %s", st, id)
	}
}
