package es_test

import (
	"testing"

	"onlineshop/es"
)

func TestAccessAdmits(t *testing.T) {
	nobody, ann, staff := es.Caller{}, es.Caller{User: "ann"}, es.Caller{User: "bob", Groups: []string{"Staff"}}
	for name, x := range map[string]struct {
		access                     es.Access
		nobody, ann, staff, system bool
	}{
		"anybody":             {es.AllowAnonymous(), true, true, true, true},
		"signed-in users":     {es.AllowSignedIn(), false, true, true, true},
		"a group":             {es.AllowGroups("Staff"), false, false, true, true},
		"one of two groups":   {es.AllowGroups("Admin", "Staff"), false, false, true, true},
		"a group of no name":  {es.AllowGroups(""), false, false, false, true},
		"the owner alone":     {es.AllowOwner(), false, false, false, true},
		"the owner and staff": {es.AllowOwner("Staff"), false, false, true, true},
		"nobody":              {es.DenyAll(), false, false, false, true},
	} {
		for who, want := range map[*es.Caller]bool{&nobody: x.nobody, &ann: x.ann, &staff: x.staff} {
			if x.access.Admits(*who) != want {
				t.Errorf("%s: %+v is admitted: %t", name, *who, !want)
			}
		}
		if x.access.Admits(es.System()) != x.system {
			t.Errorf("%s: the shop itself is not admitted", name)
		}
	}
	if es.DenyAll().AdmitsOwner(ann, "ann") || !es.AllowOwner().AdmitsOwner(ann, "ann") || es.AllowOwner().AdmitsOwner(nobody, "") {
		t.Error("owners")
	}
}
