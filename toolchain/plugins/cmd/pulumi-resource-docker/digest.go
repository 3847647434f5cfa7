package main

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-sdk/v2/diag"
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
)

const imageOfService = "task_spec.0.container_spec.0.image"

// keepTag makes services stable whose image is named by a tag. The engine's client adds the digest that the registry has
// when the service is created, and the upstream provider reads it back, so that every later update would replace all tasks.
func keepTag(service *schema.Resource) {
	service.CreateContext = tagged(service.CreateContext)
	service.ReadContext = tagged(service.ReadContext)
	service.UpdateContext = tagged(service.UpdateContext)
}

func tagged(original operation) operation {
	return func(ctx context.Context, data *schema.ResourceData, meta any) diag.Diagnostics {
		wanted, _ := data.Get(imageOfService).(string)
		result := original(ctx, data, meta)
		now, _ := data.Get(imageOfService).(string)
		if data.Id() == "" || !addsDigest(wanted, now) {
			return result
		}
		task := data.Get("task_spec").([]any)
		container := task[0].(map[string]any)["container_spec"].([]any)
		container[0].(map[string]any)["image"] = wanted
		if err := data.Set("task_spec", task); err != nil {
			return append(result, diag.FromErr(err)...)
		}
		return result
	}
}

// addsDigest says whether an image is the wanted one with a digest, and with the tag that an image without one has.
func addsDigest(wanted, now string) bool {
	name, _, found := strings.Cut(now, "@")
	return found && wanted != "" && (name == wanted || name == wanted+":latest")
}
