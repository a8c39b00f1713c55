package local

import (
	"context"
	"encoding/json"
	"fmt"

	"onlineshop/es/engine"
)

// Schedule implements [engine.Schedules].
func (s *store) Schedule(ctx context.Context, name string) (st engine.ScheduleState, err error) {
	var data []byte
	_, err = s.get(ctx, keyIn(tableSchedules).text(name), func(f *fields) { st.Rev, data = f.number(), f.bytes() })
	if err == nil && data != nil {
		err = json.Unmarshal(data, &st)
	}
	st.Name = name
	return st, err
}

// PutSchedule implements [engine.Schedules].
func (s *store) PutSchedule(ctx context.Context, st engine.ScheduleState) (bool, error) {
	data, err := json.Marshal(st)
	if err != nil {
		return false, fmt.Errorf("schedule %s: %w", st.Name, err)
	}
	k := keyIn(tableSchedules).text(st.Name)
	var lost bool
	err = s.writer.write(ctx, func(t *tx) error {
		var rev int64
		_, err := t.get(k, func(f *fields) { rev = f.number() })
		if lost = rev != st.Rev-1; err != nil || lost {
			return err
		}
		t.set(k, value(nil).number(st.Rev).bytes(data))
		return nil
	}, nil)
	if err != nil {
		return false, err // the writer may still be at it, as in Put
	}
	return lost, nil
}

// stopping says that no more work is to be begun.
func (p *Platform) stopping() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}
