package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

func scheduleKey(name string) item { return item{wiring.Key: str(wiring.SchedulePrefix + name)} }

// Schedule implements [engine.Schedules] with an item among the cursors.
func (s *store) Schedule(ctx context.Context, name string) (st engine.ScheduleState, err error) {
	table, err := s.cursors(naming.Plugin(name))
	if err != nil {
		return st, err
	}
	i, err := s.get(ctx, table, scheduleKey(name))
	if err == nil && i != nil {
		err = json.Unmarshal([]byte(text(i, attrState)), &st)
	}
	st.Name, st.Rev = name, number(i, attrRev)
	return st, err
}

// PutSchedule implements [engine.Schedules].
func (s *store) PutSchedule(ctx context.Context, st engine.ScheduleState) (lost bool, err error) {
	table, err := s.cursors(naming.Plugin(st.Name))
	if err != nil {
		return false, err
	}
	if len(st.Error) > maxError {
		st.Error = st.Error[:maxError]
	}
	data, err := json.Marshal(st)
	if err != nil {
		return false, fmt.Errorf("schedule %s: %w", st.Name, err)
	}
	e := newExpression()
	rev := e.name(attrRev)
	condition := rev + " = " + e.value(num(st.Rev-1))
	if st.Rev == 1 {
		condition += " OR attribute_not_exists(" + rev + ")"
	}
	kept, err := s.update(ctx, table, scheduleKey(st.Name), e, "SET "+rev+" = "+e.value(num(st.Rev))+", "+e.name(attrState)+" = "+e.value(str(string(data))), condition)
	return !kept && err == nil, err
}

// runSchedules runs what is due of a task. A rule calls the task's function every minute,
// and the one that comes first claims an occurrence. Nothing is reported to Lambda, which
// would only call again: what fails is recorded, what is not done is due in the next minute.
func (p *Platform) runSchedules(ctx context.Context, plugin string, t es.Task) {
	deadline, _ := ctx.Deadline()
	stop := deadlineGuard(time.Now, deadline)
	for _, s := range t.Schedules {
		name := naming.Full(plugin, t.Name) + "." + s.Name
		if err := p.engine.RunSchedule(ctx, name, stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			p.log.ErrorContext(ctx, "schedule was not looked at; it is in a minute", "schedule", name, "error", err)
		}
	}
}

// ListSchedules returns every schedule, with what it did.
func (o *Operations) ListSchedules(ctx context.Context) ([]engine.ScheduleInfo, error) {
	return o.engine.ListSchedules(ctx)
}

// AskSchedule has a schedule run once more, within a minute or so.
func (o *Operations) AskSchedule(ctx context.Context, name string) error {
	plugin := naming.Plugin(name)
	if !(*Platform)(o).has(plugin) {
		return engine.ErrNotFound.Because("there is no schedule %s", name)
	}
	_, err := (*Platform)(o).operate(ctx, plugin, wiring.Operation{Do: wiring.DoAsk, Schedule: name})
	return err
}
