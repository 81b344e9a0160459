// The modules that carry the CustomResourceDefinitions of reports. Nothing of them is built.
module natsguard.dev/tests/cluster/definitions

go 1.26.0

require (
	github.com/kyverno/kyverno v1.19.1
	github.com/openreports/reports-api v0.2.1
)
