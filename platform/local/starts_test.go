package local

import (
	"path/filepath"
	"testing"

	"onlineshop/platform/platformtest"
)

func TestFollowersOfAnEarlierVersionWereThereFromTheBeginning(t *testing.T) {
	const remind, congratulate, recall = "mapping:Lending.Remind", "effect:Lending.Congratulate", "mapping:Lending.Recall"
	for name, change := range map[string]string{
		"that had been given the log": "DROP TABLE starts",
		"that was stopped before":     "DROP TABLE starts; DELETE FROM known",
	} {
		t.Run(name, func(t *testing.T) {
			// Given a folder of a version that kept no starts
			dir := t.TempDir()
			p := open(t, Options{Dir: dir, Plugins: platformtest.Library{World: platformtest.NewWorld()}.Plugins()})
			send(t, p, "Lending.Book", "b", "Acquire", `{"text":"B"}`)
			send(t, p, "Lending.Book", "b", "Lend", `{"text":"ann"}`)
			caughtUp(t, p)
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			alter(t, filepath.Join(dir, "shop.db"), change)
			// When it is opened by one that keeps them, and has one mapping more
			p = open(t, Options{Dir: dir, Plugins: platformtest.Library{World: platformtest.NewWorld(), Later: true}.Plugins()})
			// Then the others are there from the beginning, and that one begins
			for follower, want := range map[string]int64{remind: 0, congratulate: 0, recall: 4} { // the log then, with the reminder and the mention
				var position int64
				if _, err := p.store.get(t.Context(), "SELECT position FROM starts WHERE follower = ?", []any{follower}, []any{&position}); err != nil {
					t.Fatal(err)
				}
				expect(t, follower, position, want)
			}
		})
	}
}
