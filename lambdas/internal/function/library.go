//go:build library

package function

import (
	"context"
	"fmt"
	"net/url"
	"os"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/platformtest"
)

const title = "Library"

// deployed are the plugins of the suite that every platform passes, in a test's
// deployment of theirs.
func deployed(awssdk.Config, wiring.Wiring) ([]es.Plugin, func(context.Context, engine.Stream) error, error) {
	world, err := url.Parse(os.Getenv(platformtest.WorldVariable))
	if err != nil || world.Host == "" {
		return nil, nil, fmt.Errorf("%s is %q, no address", platformtest.WorldVariable, os.Getenv(platformtest.WorldVariable))
	}
	return platformtest.Library{World: platformtest.Dial(world), Later: os.Getenv(platformtest.LaterVariable) != ""}.Plugins(), nil, nil
}
