// Package script holds what local and remote commands have in common: their inputs and outputs,
// which command a create, update or delete runs, and how it is run, shown and reported.
package script

import (
	"context"
	"io"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
)

// Inputs are the properties of every command, under the names of the official plugin.
type Inputs struct {
	Create                 *string  `pulumi:"create,optional"`
	Update                 *string  `pulumi:"update,optional"`
	Delete                 *string  `pulumi:"delete,optional"`
	Triggers               *[]any   `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Stdin                  *string  `pulumi:"stdin,optional"`
	Logging                *Logging `pulumi:"logging,optional"`
	AddPreviousOutputInEnv *bool    `pulumi:"addPreviousOutputInEnv,optional"`
}

// Annotate describes the inputs in the schema.
func (in *Inputs) Annotate(a infer.Annotator) {
	a.Describe(&in.Create, "The command to run on creation, and on a change when there is no `update`.")
	a.Describe(&in.Update, "The command to run when an input changes.")
	a.Describe(&in.Delete, "The command to run on deletion.")
	a.Describe(&in.Triggers, "Values of any type; when one changes, the resource is replaced.")
	a.Describe(&in.Stdin, "Passed to the command on standard input. Never shown in an error.")
	a.Describe(&in.Logging, "Which output is shown while the command runs. Both unless set.")
	a.Describe(&in.AddPreviousOutputInEnv,
		"Whether the last run's output is in the environment as PULUMI_COMMAND_STDOUT and _STDERR. True unless set.")
}

// OnUpdate is the command that a changed input runs, nil for none.
func (in *Inputs) OnUpdate() *string {
	if in.Update != nil {
		return in.Update
	}
	return in.Create
}

// Outputs are what the last create or update printed, without the final newline.
type Outputs struct {
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// Annotate describes the outputs in the schema.
func (out *Outputs) Annotate(a infer.Annotator) {
	a.Describe(&out.Stdout, "The standard output of the command.")
	a.Describe(&out.Stderr, "The standard error of the command.")
}

// Logging says which of a command's streams are shown while it runs.
type Logging string

const (
	logStdout Logging = "stdout"
	logStderr Logging = "stderr"
	logBoth   Logging = "stdoutAndStderr"
	logNone   Logging = "none"
)

// Values lists the accepted values for the schema.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: "stdout", Value: logStdout}, {Name: "stderr", Value: logStderr},
		{Name: "stdoutAndStderr", Value: logBoth}, {Name: "none", Value: logNone},
	}
}

func (l *Logging) shows(stream Logging) bool {
	return l == nil || *l == logBoth || *l == stream
}

// Process is one run of a command, ready to be started somewhere.
type Process struct {
	Command  string
	Stdin    string
	Previous map[string]string // environment with the output of the last run
	Stdout   io.Writer
	Stderr   io.Writer
}

// Starter runs a process to its end, on this machine or on another.
type Starter func(context.Context, Process) error

// Run runs command (nil: nothing) and returns what it printed; without a run, the previous output.
// A failure is reported as a *Failure.
func (in *Inputs) Run(ctx context.Context, command *string, previous Outputs, start Starter) (Outputs, error) {
	if command == nil {
		return previous, nil
	}
	process := Process{Command: *command}
	if in.Stdin != nil {
		process.Stdin = *in.Stdin
	}
	if in.AddPreviousOutputInEnv == nil || *in.AddPreviousOutputInEnv {
		process.Previous = previous.environment()
	}
	var stdout, stderr strings.Builder
	screen := newScreen(p.GetLogger(ctx).InfoStatus, process.Stdin)
	process.Stdout = io.MultiWriter(&stdout, screen.stream(in.Logging.shows(logStdout)))
	process.Stderr = io.MultiWriter(&stderr, screen.stream(in.Logging.shows(logStderr)))
	err := start(ctx, process)
	screen.flush()
	if err != nil {
		return previous, &Failure{Command: *command, Output: screen.tail(), Cause: err, stdin: process.Stdin}
	}
	return Outputs{
		Stdout: strings.TrimSuffix(stdout.String(), "\n"),
		Stderr: strings.TrimSuffix(stderr.String(), "\n"),
	}, nil
}

func (out Outputs) environment() map[string]string {
	env := map[string]string{}
	if out.Stdout != "" {
		env["PULUMI_COMMAND_STDOUT"] = out.Stdout
	}
	if out.Stderr != "" {
		env["PULUMI_COMMAND_STDERR"] = out.Stderr
	}
	return env
}
