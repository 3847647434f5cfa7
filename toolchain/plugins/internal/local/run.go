package local

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"

	"github.com/terraform-providers/terraform-provider-docker/requorum/internal/script"
)

// Run is the function command:local:run: a command at every evaluation of the program, preview included.
type Run struct{}

// RunInputs are the arguments of the function.
type RunInputs struct {
	Settings
	Command                string          `pulumi:"command"`
	Stdin                  *string         `pulumi:"stdin,optional"`
	Logging                *script.Logging `pulumi:"logging,optional"`
	AddPreviousOutputInEnv *bool           `pulumi:"addPreviousOutputInEnv,optional"`
}

// RunOutputs are the result of the function.
type RunOutputs struct {
	RunInputs
	script.Outputs
	Files
}

// Annotate describes the function in the schema.
func (r *Run) Annotate(a infer.Annotator) {
	a.Describe(&r, "A command on the local machine, run at every preview and update.")
}

// Invoke runs the command.
func (*Run) Invoke(ctx context.Context, req infer.FunctionRequest[RunInputs]) (infer.FunctionResponse[RunOutputs], error) {
	in := req.Input
	out := Outputs{Inputs: Inputs{Settings: in.Settings, Inputs: script.Inputs{Stdin: in.Stdin, Logging: in.Logging}}}
	err := out.run(ctx, &in.Command)
	return infer.FunctionResponse[RunOutputs]{
		Output: RunOutputs{RunInputs: in, Outputs: out.Outputs, Files: out.Files},
	}, err
}
