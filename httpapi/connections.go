package httpapi

import (
	"bytes"
	"container/list"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"syscall"
)

// Serve serves connections of the listener until the server is shut down, with no
// more of them at a time than leave the process descriptors to work with. Where
// there are too many, the one that has been idle longest makes room for the next.
// What the server itself answers to what is no request is a problem document, too.
func Serve(s *http.Server, l net.Listener) error {
	return serve(s, l, mostConnections())
}

func serve(s *http.Server, l net.Listener, most int) error {
	c := &connections{Listener: l, most: most, idle: list.New()}
	c.fewer.L = &c.mu
	s.ConnState = c.changed
	return s.Serve(c)
}

// mostConnections is how many connections there may be, by the process's limit of
// descriptors, which the runtime has raised as far as it may.
func mostConnections() int {
	const (
		most    = 4096
		reserve = 128 // for the database, e-mails, imports and reports
	)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 2*most {
		return most
	}
	return max(int(limit.Cur)-max(reserve, int(limit.Cur)/4), int(limit.Cur)/4, 1)
}

// connections is a listener that bounds how many connections are open.
type connections struct {
	net.Listener
	most int

	mu    sync.Mutex
	fewer sync.Cond // on mu: one was closed
	open  int
	idle  *list.List // of *connection, longest idle first
}

// Accept implements [net.Listener].
func (c *connections) Accept() (net.Conn, error) {
	accepted, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.most {
		if oldest := c.idle.Front(); oldest != nil {
			x := oldest.Value.(*connection)
			c.leave(x)
			c.mu.Unlock()
			_ = x.Close() // it has nothing to say
			c.mu.Lock()
			continue
		}
		c.fewer.Wait()
	}
	c.open++
	x := &connection{Conn: accepted, of: c}
	x.place = c.idle.PushBack(x)
	return x, nil
}

// changed is the server's [http.Server.ConnState].
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	x, ok := conn.(*connection)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave(x)
	if (state == http.StateIdle || state == http.StateNew) && !x.closed {
		x.place = c.idle.PushBack(x)
	}
}

// leave takes a connection from the idle ones, under the lock.
func (c *connections) leave(x *connection) {
	if x.place != nil {
		c.idle.Remove(x.place)
		x.place = nil
	}
}

// connection is one of them. What changes has the lock of its connections.
type connection struct {
	net.Conn
	of     *connections
	place  *list.Element // among the idle ones; nil: it is at work, or closed
	closed bool
}

// Close implements [net.Conn].
func (x *connection) Close() error {
	x.of.mu.Lock()
	if !x.closed {
		x.closed = true
		x.of.open--
		x.of.leave(x)
		x.of.fewer.Signal()
	}
	x.of.mu.Unlock()
	return x.Conn.Close()
}

// CloseWrite lets the server end its answer before it ends the connection.
func (x *connection) CloseWrite() error {
	if c, ok := x.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// plainAnswer is how net/http begins what it answers to what it does not take for a
// request; answers of handlers have other headers before.
var plainAnswer = regexp.MustCompile(`^HTTP/1\.1 ([45]\d\d) ([^\r\n]*)\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n`)

// Write implements [net.Conn].
func (x *connection) Write(b []byte) (int, error) {
	if !bytes.HasPrefix(b, []byte("HTTP/1.1 4")) && !bytes.HasPrefix(b, []byte("HTTP/1.1 5")) {
		return x.Conn.Write(b)
	}
	m := plainAnswer.FindSubmatch(b)
	if m == nil {
		return x.Conn.Write(b)
	}
	status, _ := strconv.Atoi(string(m[1]))
	detail := "this is not a valid HTTP request"
	if status == http.StatusRequestHeaderFieldsTooLarge {
		detail = "the headers are too large"
	} else if _, why, ok := bytes.Cut(b[len(m[0]):], []byte(": ")); ok {
		detail = string(why)
	}
	body := marshal(map[string]any{"status": status, "title": title(errMalformed.Code), "code": errMalformed.Code, "detail": detail})
	answer := fmt.Appendf(nil, "HTTP/1.1 %s %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", m[1], m[2], len(body), body)
	if _, err := x.Conn.Write(answer); err != nil {
		return 0, err
	}
	return len(b), nil
}
