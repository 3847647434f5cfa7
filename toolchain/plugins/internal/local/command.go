// Package local serves command:local:Command and command:local:run: commands on this machine.
package local

import (
	"context"
	"os"
	"os/exec"
	"strings"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/terraform-providers/terraform-provider-docker/requorum/internal/script"
)

const idBytes = 8 // random part of a resource ID, as in the official plugin

// Settings say where and how a local command runs, and which files it leaves behind.
type Settings struct {
	Interpreter  *[]string          `pulumi:"interpreter,optional"`
	Dir          *string            `pulumi:"dir,optional"`
	Environment  *map[string]string `pulumi:"environment,optional"`
	AssetPaths   *[]string          `pulumi:"assetPaths,optional"`
	ArchivePaths *[]string          `pulumi:"archivePaths,optional"`
}

// Annotate describes the settings in the schema.
func (s *Settings) Annotate(a infer.Annotator) {
	a.Describe(&s.Interpreter, "The program and arguments that run the command. /bin/sh -c unless set.")
	a.Describe(&s.Dir, "The directory to run in. It must exist.")
	a.Describe(&s.Environment, "Additional environment variables of the command.")
	a.Describe(&s.AssetPaths, "Globs of files to read after the command; `!` excludes.")
	a.Describe(&s.ArchivePaths, "Globs of files to return as one archive after the command; `!` excludes.")
}

// Files are what the globs of a command found.
type Files struct {
	Assets  *map[string]*types.AssetOrArchive `pulumi:"assets,optional"`
	Archive *resource.Archive                 `pulumi:"archive,optional"`
}

// Command is the resource.
type Command struct{}

// Inputs are the inputs of the resource.
type Inputs struct {
	script.Inputs
	Settings
}

// Outputs are the state of the resource.
type Outputs struct {
	Inputs
	script.Outputs
	Files
}

var (
	_ infer.CustomUpdate[Inputs, Outputs] = (*Command)(nil)
	_ infer.CustomDelete[Outputs]         = (*Command)(nil)
)

// Annotate describes the resource in the schema.
func (c *Command) Annotate(a infer.Annotator) { a.Describe(&c, "A command on the local machine.") }

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
	state := Outputs{Inputs: req.Inputs, Outputs: req.State.Outputs, Files: req.State.Files}
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
	if command == nil {
		return nil
	}
	if out.Outputs, err = out.Inputs.Run(ctx, command, out.Outputs, out.start); err != nil {
		return err
	}
	out.Files, err = out.collect()
	return err
}

func (s *Settings) start(ctx context.Context, process script.Process) error {
	args := []string{"/bin/sh", "-c"}
	if s.Interpreter != nil && len(*s.Interpreter) > 0 {
		args = append([]string(nil), *s.Interpreter...)
	}
	args = append(args, process.Command)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = process.Stdout, process.Stderr
	if process.Stdin != "" {
		cmd.Stdin = strings.NewReader(process.Stdin)
	}
	if s.Dir != nil {
		cmd.Dir = *s.Dir
	}
	cmd.Env = os.Environ()
	if s.Environment != nil {
		cmd.Env = appendAll(cmd.Env, *s.Environment)
	}
	cmd.Env = appendAll(cmd.Env, process.Previous)
	return cmd.Run()
}

func appendAll(env []string, more map[string]string) []string {
	for name, value := range more {
		env = append(env, name+"="+value)
	}
	return env
}
