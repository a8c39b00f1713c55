package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// refused runs "shop serve" and returns its exit code and what it said.
func refused(t *testing.T, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"serve"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("shop serve %s did not refuse; it said: %s", strings.Join(args, " "), out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestServeRefusesSettingsThatMakeNoSense(t *testing.T) {
	data := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"a negative delay":               {[]string{"--ship-delay=-1s"}, "at least 0s"},
		"everybody from everywhere":      {[]string{"--addr=0.0.0.0:0"}, "set --auth jwt"},
		"everybody from every interface": {[]string{"--addr=:0"}, "set --auth jwt"},
		"a host that may be anywhere":    {[]string{"--addr=example.com:0"}, "set --auth jwt"},
		"tokens of nobody":               {[]string{"--auth=jwt"}, "SHOP_JWT_ISSUER"},
		"tokens for nobody":              {[]string{"--auth=jwt", "--jwt-issuer=http://127.0.0.1:1"}, "SHOP_JWT_AUDIENCE"},
		"an unknown way to sign in":      {[]string{"--auth=basic"}, "none"},
		"a sender that is none":          {[]string{"--email-from=the shop"}, "SHOP_EMAIL_FROM"},
		"an address without a port":      {[]string{"--addr=127.0.0.1"}, "host:port"},
		"a flag that is none":            {[]string{"--ship-dealy=1m"}, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			code, said := refused(t, append([]string{"--data=" + data}, c.args...)...)
			if code != exitUsage || !strings.Contains(said, c.says) {
				t.Errorf("exit code %d, want %d; want %q in: %s", code, exitUsage, c.says, said)
			}
		})
	}
}

func TestServeSaysWhenThePortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	code, said := refused(t, "--addr="+addr, "--data="+t.TempDir())
	if code != exitFailed || !strings.Contains(said, addr) || !strings.Contains(said, "address already in use") {
		t.Errorf("exit code %d, it said: %s", code, said)
	}
}

func TestServeSaysWhenTheDataFolderIsInUse(t *testing.T) {
	// Given a shop
	p := start(t, binary, t.TempDir())
	// When a second one is served from the same folder
	code, said := refused(t, "--addr=127.0.0.1:0", "--data="+p.data)
	// Then it refuses, and the first one goes on
	if code != exitFailed || !strings.Contains(said, p.data) || !strings.Contains(said, "in use") {
		t.Errorf("exit code %d, it said: %s", code, said)
	}
	p.must("/catalog/category/books/add", map[string]any{"name": "Books"})
}

// underWay is a request whose handler waits for its body.
func (p *process) underWay(path, body string) net.Conn {
	p.t.Helper()
	host := strings.TrimPrefix(p.base, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", path, host, len(body))
	if err != nil {
		p.t.Fatal(err)
	}
	interim := make([]byte, 256)
	if n, err := conn.Read(interim); err != nil || !strings.Contains(string(interim[:n]), "100 Continue") {
		p.t.Fatalf("no 100 Continue: %v, %q", err, interim[:n])
	}
	return conn
}

// signal asks the process to end, and waits until it no longer listens.
func (p *process) signal() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "nobody listens", func() (bool, any) {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil, err
	})
}

func TestServeDrainsWhenAskedToEnd(t *testing.T) {
	// Given a shop with a request that is under way
	p := start(t, binary, t.TempDir())
	body := `{"name":"Books"}`
	conn := p.underWay("/catalog/category/books/add", body)
	// When it is asked to end
	p.signal()
	// Then the request is still answered, and what was decided is there afterwards
	if _, err := conn.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200") {
		t.Fatalf("answer: %v, %q", err, answer[:n])
	}
	p.wait()
	if code := p.cmd.ProcessState.ExitCode(); code != exitOK {
		t.Fatalf("exit code %d; log: %s", code, p.log)
	}
	p = start(t, binary, p.data)
	if got := p.history("catalog/category", "books"); len(got) != 1 || got[0].Type != "Added" {
		t.Errorf("history after the restart: %+v", got)
	}
	if code := p.stop(); code != exitOK {
		t.Errorf("exit code %d of an idle shop", code)
	}
}

func TestServeEndsAtOnceWhenAskedTwice(t *testing.T) {
	// Given a shop that drains, with a request that never ends
	p := start(t, binary, t.TempDir())
	p.underWay("/catalog/category/books/add", `{"name":"Books"}`)
	p.signal()
	// When it is asked again
	eventually(t, "the process has ended", func() (bool, any) {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by now
		select {
		case <-p.exited:
			return true, nil
		default:
			return false, "it runs"
		}
	})
	// Then it ends by the signal, not by having drained
	if s, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !s.Signaled() {
		t.Errorf("it ended with %v", p.cmd.ProcessState)
	}
}

func TestServeAnswersItsOwnHostAlone(t *testing.T) {
	p := start(t, binary, t.TempDir())
	for host, want := range map[string]int{
		"":             http.StatusOK,
		"localhost":    http.StatusOK,
		"shop.example": http.StatusMisdirectedRequest,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+"/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = net.JoinHostPort(host, r.URL.Port())
		}
		answer, err := p.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("Host %q: status %d, want %d", r.Host, answer.StatusCode, want)
		}
	}
}

func TestShipDelayLeavesTimeToCancel(t *testing.T) {
	// Given a shop that ships late, a product that Ordering knows, and a customer
	p := start(t, binary, t.TempDir(), "SHOP_SHIP_DELAY=240h")
	p.must("/catalog/product/lamp/add", map[string]any{"name": "Lamp", "description": "", "price": 5})
	p.must("/ordering/customer/ann/register", map[string]any{"email": "ann@example.com", "address": "1 Lane"})
	p.settled()
	// When an order is placed and cancelled
	p.must("/ordering/order/o1/place", map[string]any{"customerId": "ann", "productIds": []string{"lamp"}})
	p.must("/ordering/order/o1/cancel", nil)
	// Then it stays cancelled, and is not counted
	p.settled()
	o, _ := row[struct{ Status string }](p, "/ordering/orders/o1")
	d, _ := row[struct{ OrderCount int }](p, "/catalog/product-demands/lamp")
	if o.Status != "cancelled" || d.OrderCount != 0 {
		t.Errorf("order %+v, demand %+v", o, d)
	}
}

func TestWhatARuleRefusedAFollowerIsTold(t *testing.T) {
	// Given an order that is cancelled before it would ship, which is not the first one where
	// the machine is slow
	p := start(t, binary, t.TempDir(), "SHOP_SHIP_DELAY=1s")
	p.must("/catalog/product/lamp/add", map[string]any{"name": "Lamp", "description": "", "price": 5})
	p.must("/ordering/customer/ann/register", map[string]any{"email": "ann@example.com", "address": "1 Lane"})
	p.settled()
	id, n := "", 0
	eventually(t, "an order is cancelled", func() (bool, any) {
		n++
		id = fmt.Sprint("o", n)
		p.must("/ordering/order/"+id+"/place", map[string]any{"customerId": "ann", "productIds": []string{"lamp"}})
		err := p.post(t.Context(), "/ordering/order/"+id+"/cancel", "", nil, nil)
		if err != nil && !isProblem(err, "OrderAlreadyShipped") {
			t.Fatal(err)
		}
		return err == nil, err
	})
	// When it is due
	type rejection struct{ Follower, Stream, Target, Code, User string }
	want := rejection{"mapping:Ordering.AutoShip", "Ordering.Order#" + id, "Ordering.Order#" + id, "OrderAlreadyCancelled", ""}
	told := func() {
		t.Helper()
		eventually(t, "the rejection is listed", func() (bool, any) {
			got := list[rejection](p, "/operations/rejections")
			return len(got) == 1 && got[0] == want, got
		})
	}
	// Then the rejection is listed, counted, and told by the order's trace
	told()
	out, err := exec.CommandContext(t.Context(), binary, "rejections", "--addr", p.base, "--follower", want.Follower).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "OrderAlreadyCancelled") || strings.Count(string(out), "\n") != 2 {
		t.Errorf("shop rejections: %v\n%s", err, out)
	}
	body := func(path string) string {
		t.Helper()
		var b json.RawMessage
		if err := p.get(t.Context(), path, &b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if body := body("/health"); !strings.Contains(body, `"rejected":1`) {
		t.Errorf("health: %s", body)
	}
	if body := body("/operations/trace?stream=Ordering.Order%23" + id + "&version=1"); !strings.Contains(body, `"state":"rejected","error":"OrderAlreadyCancelled`) {
		t.Errorf("trace: %s", body)
	}
	// And another process knows of it
	p.kill()
	p = start(t, binary, p.data)
	told()
}

func TestAShopIsCalledByTheNamesOfItsOwnMachine(t *testing.T) {
	for _, x := range []struct {
		ip   string
		port int
		want []string
	}{
		{"127.0.0.1", 8080, []string{"127.0.0.1:8080", "localhost:8080"}},
		{"::1", 8080, []string{"[::1]:8080", "localhost:8080"}},
		{"127.0.0.1", 80, []string{"127.0.0.1:80", "localhost:80", "127.0.0.1", "localhost"}}, // a default port is not said
		{"0.0.0.0", 8080, nil},
	} {
		if got := hosts(&net.TCPAddr{IP: net.ParseIP(x.ip), Port: x.port}); !slices.Equal(got, x.want) {
			t.Errorf("at %s port %d it is called %q, want %q", x.ip, x.port, got, x.want)
		}
	}
}
