// Package remote serves command:remote:Command and command:remote:CopyToRemote: work on a host over SSH.
package remote

import (
	"context"
	"fmt"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/terraform-providers/terraform-provider-docker/requorum/internal/script"
)

const idBytes = 8 // random part of a resource ID, as in the official plugin

// Command is the resource.
type Command struct{}

// Inputs are the inputs of the resource.
type Inputs struct {
	script.Inputs
	Connection  *Connection       `pulumi:"connection"           provider:"secret"`
	Environment map[string]string `pulumi:"environment,optional"`
}

// Annotate describes the inputs in the schema.
func (in *Inputs) Annotate(a infer.Annotator) {
	a.Describe(&in.Connection, "How to reach the host.")
	a.Describe(&in.Environment, "Environment variables of the command. sshd must accept them (AcceptEnv).")
}

// Outputs are the state of the resource.
type Outputs struct {
	Inputs
	script.Outputs
}

var (
	_ infer.CustomUpdate[Inputs, Outputs] = (*Command)(nil)
	_ infer.CustomDelete[Outputs]         = (*Command)(nil)
)

// Annotate describes the resource in the schema.
func (c *Command) Annotate(a infer.Annotator) { a.Describe(&c, "A command on a host, over SSH.") }

// Create runs `create`.
func (*Command) Create(ctx context.Context, req infer.CreateRequest[Inputs]) (infer.CreateResponse[Outputs], error) {
	id, err := resource.NewUniqueHex(req.Name, idBytes, 0)
	if err != nil {
		return infer.CreateResponse[Outputs]{}, err
	}
	state := Outputs{Inputs: req.Inputs}
	if !req.DryRun {
		err = state.run(ctx, req.Inputs.Create)
	}
	return infer.CreateResponse[Outputs]{ID: id, Output: state}, err
}

// Update runs `update`, or `create` where there is none.
func (*Command) Update(
	ctx context.Context, req infer.UpdateRequest[Inputs, Outputs],
) (infer.UpdateResponse[Outputs], error) {
	state := Outputs{Inputs: req.Inputs, Outputs: req.State.Outputs}
	var err error
	if !req.DryRun {
		err = state.run(ctx, req.Inputs.OnUpdate())
	}
	return infer.UpdateResponse[Outputs]{Output: state}, err
}

// Delete runs `delete`.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[Outputs]) (infer.DeleteResponse, error) {
	return infer.DeleteResponse{}, req.State.run(ctx, req.State.Delete)
}

func (out *Outputs) run(ctx context.Context, command *string) (err error) {
	out.Outputs, err = out.Inputs.Run(ctx, command, out.Outputs, out.start)
	return err
}

func (in *Inputs) start(ctx context.Context, process script.Process) error {
	client, err := in.Connection.Dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	// A session cannot be cancelled; closing its connection ends it.
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	for name, value := range in.Environment {
		if err := session.Setenv(name, value); err != nil {
			return fmt.Errorf("sshd of %s does not accept the variable %s (AcceptEnv in its configuration, "+
				"or write NAME=value before the command): %w", in.Connection.Host, name, err)
		}
	}
	for name, value := range process.Previous {
		if err := session.Setenv(name, value); err != nil {
			p.GetLogger(ctx).Debugf("sshd does not accept %s: %v", name, err) // a convenience that few use
		}
	}
	if process.Stdin != "" {
		session.Stdin = strings.NewReader(process.Stdin)
	}
	session.Stdout, session.Stderr = process.Stdout, process.Stderr
	return session.Run(process.Command)
}
