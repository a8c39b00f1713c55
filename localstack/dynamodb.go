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

// dynamoDB is DynamoDB Local by itself, without LocalStack around it. It ends
// with this program, however that ends.
func (e emulator) dynamoDB(ctx context.Context) (endpoint string, stop func() error, err error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0") // a port that is free
	if err != nil {
		return "", nil, err
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address) // a listener's address has one
	if err := l.Close(); err != nil {
		return "", nil, err
	}
	lib := e.path("fs/var/lib/localstack/lib")
	cmd := exec.Command(lib+"/java/21/bin/java", append(e.javaOptions(),
		"-Djava.library.path="+lib+"/dynamodb-local/2/DynamoDBLocal_lib",
		"-jar", lib+"/dynamodb-local/2/DynamoDBLocal.jar", "-inMemory", "-disableTelemetry", "-port", port)...)
	log, err := os.Create(e.path("dynamodb.log"))
	if err != nil {
		return "", nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start DynamoDB Local: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its log says why it ended
		close(exited)
	}()
	stop = func() error {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop DynamoDB Local: %w", err)
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
		return "", nil, errors.Join(fmt.Errorf("start DynamoDB Local: %w; the end of %s:\n%s", err, log.Name(), tail(log.Name(), 10)), stop())
	}
	return "http://" + address, stop, nil
}
