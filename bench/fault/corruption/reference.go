package corruption

import (
	"encoding/json"
	"fmt"
	"io"
)

// ReadReference reads what the program in bench/reference has found about a log of
// others, whose files it damages in four of our ways.
func ReadReference(r io.Reader) (Subject, error) {
	var found struct {
		Reference string `json:"reference"`
		Tallies   []struct {
			File     string         `json:"file"`
			Damage   string         `json:"damage"`
			Cases    int            `json:"cases"`
			Outcomes map[string]int `json:"outcomes"`
		} `json:"tallies"`
	}
	if err := json.NewDecoder(r).Decode(&found); err != nil {
		return Subject{}, fmt.Errorf("read reference: %w", err)
	}
	names := map[string]Damage{"zero": ZeroSector, "flip": FlipBit, "cut": Cut, "swap": SwapSector}
	s := Subject{found.Reference, &Result{}}
	for _, t := range found.Tallies {
		damage, ok := names[t.Damage]
		if !ok {
			return Subject{}, fmt.Errorf("read reference: there is no damage %q", t.Damage)
		}
		outcomes := map[Outcome]int{
			Refused:  t.Outcomes["refused"] + t.Outcomes["crashed"],
			Unharmed: t.Outcomes["intact"],
			Silent:   t.Outcomes["lost"] + t.Outcomes["altered"],
		}
		s.Result.add(&Result{Cases: t.Cases, Outcomes: outcomes, Tallies: []*Tally{{t.File, "", damage, t.Cases, outcomes}}})
	}
	return s, nil
}
