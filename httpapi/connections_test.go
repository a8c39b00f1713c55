package httpapi

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// served is a server on this machine with at most so many connections.
func served(t *testing.T, most int) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{MaxHeaderBytes: 4 << 10, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	})}
	ended := make(chan error, 1)
	go func() { ended <- serve(s, l, most) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func ask(t *testing.T, c net.Conn, request string) (status int, contentType, text string) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%.40q: %v", request, err)
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		t.Fatalf("%.40q: %v", request, err)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), string(body)
}

func TestIdleConnectionsMakeRoomForOthers(t *testing.T) {
	// Given as many connections as there may be, of which one is older and has asked
	const most = 8
	address := served(t, most)
	var idle []net.Conn
	for range most {
		idle = append(idle, dial(t, address))
	}
	first := idle[0]
	if _, _, body := ask(t, first, "GET /first HTTP/1.1\r\nHost: x\r\n\r\n"); body != "/first" {
		t.Fatalf("the first: %q", body)
	}
	// When many others come that say nothing, and one that asks
	for range 5 * most {
		dial(t, address)
	}
	_, _, body := ask(t, dial(t, address), "GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
	// Then it is answered, and those that were idle longest are closed. The first one is
	// idle since the server knows that its answer is sent, whenever that is.
	if body != "/last" {
		t.Errorf("the last: %q", body)
	}
	for i, c := range idle[1:] {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("connection %d is still open", i)
		}
	}
}

func TestWhatIsNoRequestIsAnsweredByAProblem(t *testing.T) {
	address := served(t, 8)
	for name, x := range map[string]struct {
		request string
		status  int
	}{
		"headers that are too large": {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 16<<10) + "\r\n\r\n", 431},
		"a malformed escape":         {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		"no host":                    {"GET / HTTP/1.1\r\n\r\n", 400},
		"a header without a colon":   {"GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", 400},
		"another protocol":           {"GET / HTTP/9.1\r\nHost: x\r\n\r\n", 505},
		"an unknown encoding":        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n", 501},
	} {
		t.Run(name, func(t *testing.T) {
			status, contentType, body := ask(t, dial(t, address), x.request)
			var p struct {
				Status       int
				Code, Detail string
			}
			if err := json.Unmarshal([]byte(body), &p); err != nil || status != x.status || p.Status != x.status ||
				p.Code != "MalformedRequest" || p.Detail == "" || contentType != "application/problem+json" {
				t.Errorf("%d %s %s %v", status, contentType, body, err)
			}
		})
	}
}

func TestWhatAHandlerAnswersIsLeftAlone(t *testing.T) {
	address := served(t, 8)
	plain := "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400"
	if _, _, body := ask(t, dial(t, address), fmt.Sprintf("GET /%x HTTP/1.1\r\nHost: x\r\n\r\n", plain)); body != fmt.Sprintf("/%x", plain) {
		t.Errorf("%q", body)
	}
}
