package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-sdk/v2/diag"
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
)

const (
	securityOpts = "security_opts"
	systemPaths  = "systempaths=unconfined"
)

type operation = func(context.Context, *schema.ResourceData, any) diag.Diagnostics

// keepSystemPaths makes containers with the security option systempaths=unconfined stable. The upstream
// provider turns the option into empty lists of masked paths, as the docker client does, but never reads it
// back, so that every refresh would replace the container. It cannot change in the life of a container.
func keepSystemPaths(container *schema.Resource) {
	container.CreateContext = keeping(container.CreateContext)
	container.ReadContext = keeping(container.ReadContext)
	container.UpdateContext = keeping(container.UpdateContext)
}

func keeping(original operation) operation {
	return func(ctx context.Context, data *schema.ResourceData, meta any) diag.Diagnostics {
		wanted := options(data).Contains(systemPaths) // asked before: the original may write the set
		result := original(ctx, data, meta)
		if now := options(data); wanted && data.Id() != "" && !now.Contains(systemPaths) {
			now.Add(systemPaths)
			if err := data.Set(securityOpts, now); err != nil {
				return append(result, diag.FromErr(err)...)
			}
		}
		return result
	}
}

func options(data *schema.ResourceData) *schema.Set { return data.Get(securityOpts).(*schema.Set) }
