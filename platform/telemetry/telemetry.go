// Package telemetry exports spans by OTLP, where the environment says where to:
// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, and the other
// variables of OpenTelemetry's SDK (https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
//
// Lambda functions, which are built with the tag lambda.norpc, have the exporter only if
// they are also built with the tag otlp, since it doubles their size.
package telemetry

import "os"

// wanted reports whether the environment says where spans are to go.
func wanted() bool {
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}
