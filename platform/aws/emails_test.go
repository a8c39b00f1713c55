package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/memory"
	"onlineshop/plugins"
	"onlineshop/plugins/ordering/mail"
	"onlineshop/plugins/plugintest"
)

// mailing is the shop with its e-mails in S3, and everything else in memory.
type mailing struct {
	*testing.T
	*memory.Platform
	s3     *cloud
	mailer *Mailer
}

func newMailing(t *testing.T) mailing {
	t.Helper()
	s3 := newServices(t, nil)
	m := mailing{T: t, s3: s3, mailer: NewMailer(s3.config(), s3.wiring, "", "shop@example.com")}
	var err error
	m.Platform, err = memory.New(m.plugins(), m.forgetting)
	if err != nil {
		t.Fatal(err)
	}
	m.must("Catalog.Product", "tea", "Add", tea)
	m.settle()
	return m
}

func (m mailing) plugins() []es.Plugin { return plugins.All(plugintest.Deps{Mail: mail.By(m.mailer)}) }

func (m mailing) forgetting(c *engine.Config) { c.Forget = m.mailer.Forget }

func (m mailing) must(aggregate, id, command, payload string) {
	m.Helper()
	for _, p := range m.plugins() {
		for _, a := range p.Aggregates {
			d := a.Definition()
			if d.Name != aggregate {
				continue
			}
			c, err := d.ReadCommand(command, []byte(payload))
			if err != nil {
				m.Fatal(err)
			}
			if _, err := m.Engine().Execute(m.Context(), engine.Request{Command: es.Command{Aggregate: aggregate, ID: id, Payload: c}, Caller: customer}); err != nil {
				m.Fatalf("%s of %s %s: %v", command, aggregate, id, err)
			}
		}
	}
}

func (m mailing) settle() {
	m.Helper()
	if err := m.Settle(m.Context()); err != nil {
		m.Fatal(err)
	}
}

// ordered has a customer place orders of those ids.
func (m mailing) ordered(customer string, orders ...string) {
	m.Helper()
	m.must("Ordering.Customer", customer, "Register", fmt.Sprintf(`{"email":"%s@example.com","address":"1 Main Street"}`, customer))
	for _, o := range orders {
		m.must("Ordering.Order", o, "Place", fmt.Sprintf(`{"customerId":%q,"productIds":["tea"]}`, customer))
	}
	m.settle()
}

// kept are the orders whose confirmations are kept, of whatever version.
func (m mailing) kept() (orders []string) {
	m.s3.mu.Lock()
	defer m.s3.mu.Unlock()
	for name := range maps.Keys(m.s3.objects) {
		if name, is := strings.CutPrefix(name, "reports/emails/order-confirmation-"); is {
			orders = append(orders, strings.TrimSuffix(name, "-1.eml"))
		}
	}
	for name := range maps.Keys(m.s3.versions) {
		orders = append(orders, "an earlier version of "+name)
	}
	slices.Sort(orders)
	return orders
}

func (m mailing) thenKept(want ...string) {
	m.Helper()
	if got := m.kept(); !slices.Equal(got, want) {
		m.Errorf("confirmations are kept of %q, want %q", got, want)
	}
}

func TestKeptEmailsGoWithWhomTheyAreAbout(t *testing.T) {
	// Given two customers with orders, one's names the beginning of the other's, in a bucket that
	// somebody has had keep versions
	m := newMailing(t)
	m.ordered("ann", "a1", "a2", "a3", "a4", "a5")
	m.ordered("ann-marie", "a1-1.eml")
	m.thenKept("a1", "a1-1.eml", "a2", "a3", "a4", "a5")
	m.s3.versions["reports/emails/order-confirmation-a2-1.eml"] = 3
	// When one is erased
	m.must("Ordering.Customer", "ann", "Erase", "")
	m.settle()
	// Then the e-mails to them are gone, and those to the other are not
	m.thenKept("a1-1.eml")
	// And what is left names nobody but by their ids
	for name, content := range m.s3.objects {
		if strings.HasPrefix(name, "reports/about/") && len(content) > 0 {
			t.Errorf("%s says %q", name, content)
		}
	}
}

// A process may end between any two requests, and another does all of it again.
func TestEmailsGoHoweverOftenTheirRemovalIsCutShort(t *testing.T) {
	for end := 1; ; end++ {
		m := newMailing(t)
		m.ordered("ann", "a1", "a2", "a3")
		m.s3.versions["reports/emails/order-confirmation-a2-1.eml"] = 2
		// Given an erasure of whose requests S3 answers only the first ones
		n, cut := 0, false
		m.s3.asks(func(*http.Request) error {
			m.s3.mu.Lock()
			defer m.s3.mu.Unlock()
			if n++; n >= end {
				cut = true
				return errors.New("the process ends here")
			}
			return nil
		})
		ann := engine.Stream{Aggregate: "Ordering.Customer", ID: "ann"}
		err := m.mailer.Forget(t.Context(), ann)
		// S3 may still be answering: who is refused one request gives up all that go beside it
		m.s3.mu.Lock()
		over := cut
		m.s3.mu.Unlock()
		if (err != nil) != over {
			t.Fatalf("cut short at request %d: %t, %v", end, over, err)
		}
		// When it is done again, and once more
		m.s3.asks(nil)
		for range 2 {
			if err := m.mailer.Forget(t.Context(), ann); err != nil {
				t.Fatal(err)
			}
		}
		// Then nothing is left
		m.thenKept()
		if !over {
			if end < 10 {
				t.Errorf("it takes %d requests, hardly any", end)
			}
			return
		}
	}
}

// An e-mail that nobody knows to be about a customer would outlast them.
func TestNoEmailIsKeptBeforeItsNameIs(t *testing.T) {
	for answered := range int32(2) {
		// Given a sender that ends after so many requests
		m, n := newMailing(t), atomic.Int32{}
		m.s3.asks(func(*http.Request) error {
			if n.Add(1) > answered {
				return errors.New("the process ends here")
			}
			return nil
		})
		m.ordered("ann", "a1")
		m.s3.asks(nil)
		if n := n.Load(); n <= answered {
			t.Fatalf("it takes %d requests to send an e-mail", n)
		}
		// When its customer is erased
		m.must("Ordering.Customer", "ann", "Erase", "")
		m.settle()
		// Then nothing is left of it
		m.thenKept()
	}
}

// Whoever sends an e-mail has read its customer before, and may be slow.
func TestAnEmailThatIsSentAmidAnErasureDoesNotStay(t *testing.T) {
	for _, amid := range []string{"about/", "emails/"} {
		for _, ends := range []bool{false, true} {
			t.Run(fmt.Sprintf("before %s, the process ends: %t", amid, ends), func(t *testing.T) {
				// Given a customer who is erased while the e-mail's sender has read of them, and has
				// kept nothing yet, or its name
				m := newMailing(t)
				erased := false
				m.s3.asks(func(r *http.Request) error {
					if r.Method != http.MethodPut || !strings.HasPrefix(r.URL.Path, "/reports/"+amid) || erased {
						return nil
					}
					erased = true
					m.must("Ordering.Customer", "ann", "Erase", "")
					return m.Engine().Follow(t.Context(), engine.Hint{Follower: "erasure:Ordering.Customer", Stream: engine.Stream{Aggregate: "Ordering.Customer", ID: "ann"}, Seq: engine.StreamEnd})
				})
				if ends { // once the e-mail is kept, before anybody looks again
					over := false
					m.Before = func(method string) error {
						if over = over || method == "Key" && len(m.kept()) > 0; over {
							return fmt.Errorf("the process ends here: %w", context.Canceled)
						}
						return nil
					}
				}
				// When it is sent
				m.must("Ordering.Customer", "ann", "Register", `{"email":"ann@example.com","address":"1 Main Street"}`)
				m.must("Ordering.Order", "a1", "Place", `{"customerId":"ann","productIds":["tea"]}`)
				err := m.Settle(t.Context())
				if ends {
					// And another process goes on where that one has ended
					m.thenKept("a1")
					m.Before = nil
					m.Drop()
					if err := m.Deploy(m.plugins(), m.forgetting); err != nil {
						t.Fatal(err)
					}
					err = m.Engine().Follow(t.Context(), engine.Hint{Follower: "effect:Ordering.SendOrderConfirmation", Stream: engine.Stream{Aggregate: "Ordering.Order", ID: "a1"}, Seq: engine.StreamEnd})
					if err != nil {
						t.Fatal(err)
					}
				} else if err != nil {
					t.Fatal(err)
				}
				// Then it does not stay
				if !erased {
					t.Error("nobody is erased meanwhile")
				}
				m.thenKept()
				row, err := m.Engine().Row(t.Context(), es.System(), "Ordering.Orders", "a1", nil)
				if !ends && (err != nil || !json.Valid(row.View)) {
					t.Errorf("the order: %s, %v", row.View, err)
				}
			})
		}
	}
}
