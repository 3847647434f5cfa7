package script

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestFailureNeverHoldsStandardInput(t *testing.T) {
	const stdin = "first-secret\nsecond-secret\nab\n"
	for name, output := range map[string]string{
		"whole":         "got " + stdin,
		"one line":      "bad token: second-secret!",
		"cut by length": strings.Repeat("second-secret\n", tailBytes),
		"one long line": strings.Repeat("first-secret ", tailBytes),
	} {
		t.Run(name, func(t *testing.T) {
			screen := newScreen(func(string) {}, stdin)
			if _, err := fmt.Fprint(screen.stream(true), output); err != nil {
				t.Fatal(err)
			}
			failure := &Failure{Command: "cat", Output: screen.tail(), Cause: errors.New("exit 1"), stdin: stdin}
			if text := failure.Error(); strings.Contains(text, "secret") || len(text) > 2*tailBytes {
				t.Errorf("%d bytes, with: %.200s", len(text), text)
			}
		})
	}
}

func TestScreenShowsMaskedLinesOnlyOfShownStreams(t *testing.T) {
	var shown []string
	screen := newScreen(func(line string) { shown = append(shown, line) }, "hunter22")
	fmt.Fprint(screen.stream(true), "one\nkey=hun")
	fmt.Fprint(screen.streams[0], "ter22\nlast")
	fmt.Fprint(screen.stream(false), "hidden\n")
	screen.flush()
	if got := strings.Join(shown, "|"); got != "one|key=[stdin]|last" {
		t.Error(got)
	}
	if tail := screen.tail(); !strings.Contains(tail, "hidden") {
		t.Error("an unshown stream belongs into the error:", tail)
	}
}
