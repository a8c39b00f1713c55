package platformtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// testErasure shows that what is personal is sealed wherever it is stored, and gone once its
// subject is erased.
func testErasure(by scene, w World) {
	t, p := by.T, by.Ports
	const name, address = "Zaphod-Quendelstein", "Trillianweg-4711"
	s := engine.Stream{Aggregate: memberName, ID: stream("zaphod").ID}
	send := func(command, text, key string) error {
		t.Helper()
		_, err := p.Engine.Execute(t.Context(), engine.Request{
			Command: es.Command{Aggregate: memberName, ID: s.ID, Payload: note{command, text}}, Caller: es.Caller{User: "zaphod"}, IdempotencyKey: key,
		})
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	stored := func() (all []byte) {
		t.Helper()
		commits, _, err := p.Log.Read(t.Context(), s, 0, 0)
		must(err)
		for _, c := range commits {
			events, meta, err := c.Encode()
			must(err)
			all = append(append(all, events...), meta...)
		}
		if p.Opened {
			return all
		}
		for model, id := range map[string]string{membersView: s.ID, movesView: engine.ItemID(s.ID, "2")} {
			row, err := p.Rows.Row(t.Context(), model, id)
			must(err)
			all = append(all, row.View...)
		}
		return all
	}
	row := func() memberRow {
		t.Helper()
		r, err := p.Engine.Row(t.Context(), es.Caller{User: "ada"}, membersView, s.ID, nil)
		must(err)
		var m memberRow
		must(json.Unmarshal(r.View, &m))
		return m
	}
	// Given somebody who has joined and moved
	must(send("Join", name, "j"))
	must(send("Move", address, "m"))
	by.settle()
	// Then everybody who may see it does
	if got, want := row(), (memberRow{Name: address, Moves: 1}); got != want {
		t.Errorf("row %+v, want %+v", got, want)
	}
	below, _, err := p.Engine.Items(t.Context(), es.Caller{User: "ada"}, movesView, s.ID, nil, "", 10)
	if err != nil || len(below) != 1 || !strings.Contains(string(below[0].View), address) {
		t.Errorf("rows below: %v, %v", below, err)
	}
	if w.Congratulations("welcome " + s.ID)["welcome "+s.ID+" at 1"] != 1 {
		t.Error("the side effect did not read who has joined")
	}
	// And what is stored does not tell
	if all := stored(); bytes.Contains(all, []byte(name)) || bytes.Contains(all, []byte(address)) {
		t.Errorf("it is stored for all to read: %s", all)
	}

	// When they are erased
	must(send("Go", "x", "g"))
	by.settle()
	// Then what was personal is nowhere, and the rest is as it was
	if got, want := row(), (memberRow{Moves: 1, Gone: true}); got != want {
		t.Errorf("row %+v, want %+v", got, want)
	}
	if k, err := p.Keys.Key(t.Context(), s, false); !errors.Is(err, engine.ErrErased) {
		t.Errorf("key %x, %v", k, err)
	}
	if all := stored(); bytes.Contains(all, []byte(name)) || bytes.Contains(all, []byte(address)) {
		t.Errorf("it is stored for all to read: %s", all)
	}
	history, _, err := p.Engine.History(t.Context(), s.Aggregate, s.ID, "", 10)
	if err != nil || len(history) != 3 || len(history[0].Erased) != 1 || history[0].Erased[0] != "text" || string(history[1].Data) != "{}" || history[2].Erased != nil {
		t.Errorf("history %+v, %v", history, err)
	}
	for _, version := range []int64{1, 2, 3} {
		if st, err := p.Engine.State(t.Context(), es.System(), s.Aggregate, s.ID, &version); err != nil || strings.Contains(string(st.State), "ein") {
			t.Errorf("state at %d: %s, %v", version, st.State, err)
		}
	}
	// And nothing personal is stored about them again, under new keys or old ones
	var no *es.Rejection
	if err := send("Move", "elsewhere", ""); !errors.As(err, &no) || no.Code != engine.ErrSubjectErased.Code {
		t.Errorf("another move: %v", err)
	}
	for key, command := range map[string]string{"j": "Join", "m": "Move", "g": "Go"} {
		if err := send(command, "somebody else", key); err != nil {
			t.Errorf("%s again, by its key: %v", command, err)
		}
	}
	found, err := p.Engine.CheckRows(t.Context(), membersView, "")
	if err != nil || len(found.Differences) > 0 {
		t.Errorf("rows and log differ: %+v, %v", found.Differences, err)
	}
}
