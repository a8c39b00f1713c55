package main

import (
	"context"
	"fmt"
	"os/exec"
)

// dynamoDB is DynamoDB Local by itself, without LocalStack around it.
func (e emulator) dynamoDB(ctx context.Context) (endpoint string, stop func() error, err error) {
	address, port, err := freeAddress(ctx)
	if err != nil {
		return "", nil, err
	}
	lib := e.path("fs/var/lib/localstack/lib")
	stop, err = child(ctx, exec.Command(lib+"/java/21/bin/java", append(e.javaOptions(),
		"-Djava.library.path="+lib+"/dynamodb-local/2/DynamoDBLocal_lib",
		"-jar", lib+"/dynamodb-local/2/DynamoDBLocal.jar", "-inMemory", "-disableTelemetry", "-port", port)...), address, e.path("dynamodb.log"))
	if err != nil {
		return "", nil, fmt.Errorf("start DynamoDB Local: %w", err)
	}
	return "http://" + address, stop, nil
}
