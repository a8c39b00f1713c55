package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// addSchedules adds what operators see of schedules, and that they run one now.
func (a *api) addSchedules() error {
	return errors.Join(
		a.add(&endpoint{
			method: http.MethodGet, path: "/operations/schedules", tag: operations, name: "schedules",
			summary: "What tasks do by schedule: when next, and how the latest run ended", allow: admin,
			answers: schedulesSchema, serve: a.schedules,
		}),
		a.addStep("run", "Run a schedule once more, now, or on AWS within a minute or so; asked again before that, it runs once", runSchema, func(ctx context.Context, s step) (engine.Progress, error) {
			return engine.Progress{Done: 1}, a.Operations.AskSchedule(ctx, s.schedule)
		}),
	)
}

var (
	cronSchema      = object{"type": "string", "description": "minute, hour, day of the month, month, day of the week; absent: there is an interval"}
	everySchema     = object{"type": "number", "description": "the interval, whole multiples of which since 1970 it runs at; absent: there is a cron expression"}
	schedulesSchema = pageSchema(&schema{"Schedule", record(object{
		"name": text, "cron": cronSchema, "everySeconds": everySchema,
		"timeZone": object{"type": "string", "description": "of the cron expression; absent: UTC"},
		"next":     instant,
		"planned":  object{"type": "string", "format": "date-time", "description": "for when the latest run was planned; absent: there was none"},
		"started":  instant, "finished": instant,
		"outcome": object{"type": "string", "enum": []string{engine.OutcomeRunning, engine.OutcomeDone, engine.OutcomeFailed}, "description": "of the latest run"},
		"error":   text,
		"extra":   object{"type": "boolean", "description": "an operator asked for the latest run"},
		"asked":   object{"type": "string", "format": "date-time", "description": "when an operator asked for a run that has not begun"},
		"overdue": object{"type": "string", "format": "date-time", "description": "for when a run was planned that is late"},
	}, "cron", "everySeconds", "timeZone", "planned", "started", "finished", "outcome", "error", "extra", "asked", "overdue"), nil})
)

func (a *api) schedules(c *call) (*answer, error) {
	list, err := a.Operations.ListSchedules(c.Context())
	if err != nil {
		return nil, err
	}
	type schedule struct {
		scheduleManifest
		Next     string `json:"next"`
		Planned  string `json:"planned,omitempty"`
		Started  string `json:"started,omitempty"`
		Finished string `json:"finished,omitempty"`
		Outcome  string `json:"outcome,omitempty"`
		Error    string `json:"error,omitempty"`
		Extra    bool   `json:"extra,omitempty"`
		Asked    string `json:"asked,omitempty"`
		Overdue  string `json:"overdue,omitempty"`
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return es.FormatTime(t)
	}
	p := page{Items: []json.RawMessage{}}
	for _, s := range list {
		p.Items = append(p.Items, marshal(schedule{
			newScheduleManifest(s.Name, s.Definition), at(s.Next), at(s.Planned), at(s.Started), at(s.Finished),
			s.Outcome(), s.Error, s.Extra, at(s.Asked), at(s.Overdue),
		}))
	}
	return &answer{body: marshal(p)}, nil
}

// scheduleManifest is how often a schedule runs.
type scheduleManifest struct {
	Name         string  `json:"name"`
	Cron         string  `json:"cron,omitempty"`
	EverySeconds float64 `json:"everySeconds,omitempty"`
	TimeZone     string  `json:"timeZone,omitempty"`
}

func newScheduleManifest(name string, s es.Schedule) scheduleManifest {
	return scheduleManifest{name, s.Cron, s.Every.Seconds(), s.TimeZone}
}

func scheduleManifests(task string, t es.Task) (out []scheduleManifest) {
	for _, s := range t.Schedules {
		out = append(out, newScheduleManifest(task+"."+s.Name, s))
	}
	return out
}
