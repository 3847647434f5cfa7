package main

import (
	"context"
	"strings"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"
	"github.com/docker/docker/errdefs"
	"github.com/hashicorp/terraform-plugin-sdk/v2/diag"
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"

	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

// swarmHost is the host that Requorum gives to the provider of a swarm's workload: a manager with a leader is behind
// it, or nothing.
const swarmHost = "ssh://requorum-swarm"

type inspection = func(context.Context, *client.Client, string) error

// ofSwarm are the resources that exist in a swarm, and how one is looked up.
var ofSwarm = map[string]inspection{
	"docker_config": func(ctx context.Context, api *client.Client, id string) error {
		_, _, err := api.ConfigInspectWithRaw(ctx, id)
		return err
	},
	"docker_network": func(ctx context.Context, api *client.Client, id string) error {
		_, err := api.NetworkInspect(ctx, id, network.InspectOptions{})
		return err
	},
	"docker_secret": func(ctx context.Context, api *client.Client, id string) error {
		_, _, err := api.SecretInspectWithRaw(ctx, id)
		return err
	},
	"docker_service": func(ctx context.Context, api *client.Client, id string) error {
		_, _, err := api.ServiceInspectWithRaw(ctx, id, swarm.ServiceInspectOptions{})
		return err
	},
}

// keepWhileLost makes a refresh keep the resources of a swarm that does not answer, so that the update that follows can
// bring the swarm back. The upstream provider fails, or takes any error for the end of a resource. A resource is gone
// only when a swarm with a leader says that it has none of this ID.
func keepWhileLost(resources map[string]*schema.Resource) {
	for name, exists := range ofSwarm {
		resources[name].ReadContext = unlessLost(resources[name].ReadContext, exists)
	}
}

func unlessLost(original operation, exists inspection) operation {
	return func(ctx context.Context, data *schema.ResourceData, meta any) diag.Diagnostics {
		config := meta.(*provider.ProviderConfig)
		id, isKnown := data.Id(), data.Get("name") != "" // an import knows the ID alone, and must fail
		if !isKnown || !strings.HasPrefix(config.DefaultConfig.Host, swarmHost) {
			return original(ctx, data, meta)
		}
		api, err := config.MakeClient(ctx, data)
		if err == nil {
			err = exists(ctx, api, id)
		}
		if err != nil && !errdefs.IsNotFound(err) {
			return diag.Diagnostics{{Severity: diag.Warning, Summary: "the swarm does not answer: " + err.Error()}}
		}
		return original(ctx, data, meta)
	}
}
