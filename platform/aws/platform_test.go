package aws

import (
	"testing"

	"onlineshop/es"
	"onlineshop/platform/platformtest"
)

// The suite that every platform passes, with the functions as they are deployed:
// one platform per plugin, which knows the other's publications by invocation.
func TestPlatform(t *testing.T) {
	var c *cloud
	var ports func(t *testing.T, plugins []es.Plugin) platformtest.Ports
	ports = func(_ *testing.T, plugins []es.Plugin) platformtest.Ports {
		c.deploy(plugins)
		p := c.platform(plugins...)
		return platformtest.Ports{
			Log: p.store, Cursors: p.store, Rows: p.store, Parking: p.store, Rejections: p.store, Schedules: p.store, Keys: p.store, Snapshots: p.store,
			Objects: c, Engine: p.engine, Settle: c.deliver, Reopen: ports,
		}
	}
	platformtest.Test(t, platformtest.NewWorld(), func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
		c = newCloud(t, plugins)
		return ports(t, plugins)
	})
}
