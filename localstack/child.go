package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// freeAddress is one on loopback at which nobody listens.
func freeAddress(ctx context.Context) (address, port string, err error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	address = l.Addr().String()
	_, port, _ = net.SplitHostPort(address) // a listener's address has one
	return address, port, l.Close()
}

// child starts a program that is to listen at the address, and returns when it does. The
// terminal's Ctrl-C does not reach it: stop ends it.
func child(ctx context.Context, cmd *exec.Cmd, address, logFile string) (stop func() error, err error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its log says why it ended
		close(exited)
	}()
	stop = func() error {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop process %d: %w", cmd.Process.Pid, err)
		}
		<-exited
		return nil
	}
	late, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("it does not answer within %s", readyWithin))
	defer cancel()
	err = wait(late, func() (bool, error) {
		select {
		case <-exited:
			return false, errors.New("it ended")
		default:
		}
		c, err := net.Dial("tcp", address)
		return err == nil && c.Close() == nil, nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w; the end of %s:\n%s", err, logFile, tail(logFile, 10)), stop())
	}
	return stop, nil
}
