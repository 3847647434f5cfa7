// Command pulumi-resource-docker serves the upstream Terraform provider for Docker to Pulumi
// programs under the tokens of the official plugin, so that the published Python SDK drives it.
//
// The native resource docker.Image of the official plugin is not part of it; use docker.RemoteImage.
package main

import (
	"context"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"

	// The upstream package is internal: this module's path sits below it for that reason.
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

const (
	name          = "docker"
	module        = "index"
	defaultSocket = "unix:///var/run/docker.sock"
)

// version is set by the linker to the release of the Python SDK that this plugin serves.
var version = "0.0.0-dev"

// emptySchema is only read by code generators and by YAML programs; a Python SDK brings its own.
var emptySchema = []byte(`{"name": "docker"}`)

// renamed lists the resources whose Pulumi name is not the standard form of the Terraform one.
var renamed = map[string]string{
	"docker_config": "ServiceConfig",
	"docker_image":  "RemoteImage",
}

func providerInfo() tfbridge.ProviderInfo {
	upstream := provider.New(version)()
	keepSystemPaths(upstream.ResourcesMap["docker_container"])
	keepTag(upstream.ResourcesMap["docker_service"])
	keepWhileLost(upstream.ResourcesMap)
	info := tfbridge.ProviderInfo{
		P:            shimv2.NewProvider(upstream),
		Name:         name,
		Version:      version,
		MetadataInfo: tfbridge.NewProviderMetadata(nil),
		Config: map[string]*tfbridge.SchemaInfo{
			"host": {Default: &tfbridge.DefaultInfo{
				EnvVars: []string{"DOCKER_HOST"},
				ComputeDefault: func(context.Context, tfbridge.ComputeDefaultOptions) (any, error) {
					return defaultSocket, nil
				},
			}},
			"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_container": {
				DeleteBeforeReplace: true, // two containers cannot share a name or an address
				Fields: map[string]*tfbridge.SchemaInfo{
					"command":           {Name: "command"},
					"networks_advanced": {Name: "networksAdvanced"},
				},
			},
		},
	}
	for from, to := range renamed {
		info.Resources[from] = &tfbridge.ResourceInfo{Tok: tfbridge.MakeResource(name, module, to)}
	}
	info.MustComputeTokens(tokens.SingleModule("docker_", module, tokens.MakeStandard(name)))
	return info
}

func main() {
	tfbridge.Main(name, version, providerInfo(), emptySchema)
}
