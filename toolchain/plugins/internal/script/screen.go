package script

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

const (
	tailBytes    = 8 << 10 // of the output, in an error
	commandRunes = 400     // of the command, in an error
	shortestMask = 4       // a shorter line of standard input is no secret, and masking it garbles text
)

// Failure is a command that could not be run or did not exit with 0.
// Its text holds the start of the command and the end of the output, and nothing of standard input.
type Failure struct {
	Command string
	Output  string
	Cause   error
	stdin   string
}

func (f *Failure) Error() string {
	command := []rune(f.Command)
	if len(command) > commandRunes {
		command = append(command[:commandRunes], '…')
	}
	text := fmt.Sprintf("%v: running %q", f.Cause, string(command))
	if f.Output != "" {
		text += ":\n" + f.Output
	}
	return mask(text, f.stdin)
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// mask replaces standard input, whole or line by line, wherever text repeats it.
func mask(text, stdin string) string {
	for _, part := range append([]string{stdin}, strings.Split(stdin, "\n")...) {
		if part = strings.TrimSpace(part); len(part) >= shortestMask {
			text = strings.ReplaceAll(text, part, "[stdin]")
		}
	}
	return text
}

// screen shows output line by line as it comes, and keeps the end of it for an error.
// A command writes its two streams at the same time, hence the lock.
type screen struct {
	mu      sync.Mutex
	show    func(line string)
	stdin   string
	last    []byte
	streams []*stream
}

func newScreen(show func(string), stdin string) *screen {
	return &screen{show: show, stdin: stdin}
}

func (s *screen) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.last) <= tailBytes {
		return string(s.last)
	}
	// Cut at a line end: half a line of standard input would not be recognised as such.
	_, whole, _ := bytes.Cut(s.last[len(s.last)-tailBytes:], []byte("\n"))
	return "…\n" + string(whole)
}

func (s *screen) stream(shown bool) io.Writer {
	st := &stream{screen: s, shown: shown}
	s.streams = append(s.streams, st)
	return st
}

// flush shows the lines that the command left without an end.
func (s *screen) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		if len(st.line) > 0 {
			s.show(mask(string(st.line), s.stdin))
		}
	}
}

type stream struct {
	screen *screen
	shown  bool
	line   []byte
}

func (st *stream) Write(data []byte) (int, error) {
	s := st.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = append(s.last, data...)
	if spare := len(s.last) - 2*tailBytes; spare > 0 {
		s.last = append([]byte(nil), s.last[spare:]...)
	}
	if !st.shown {
		return len(data), nil
	}
	st.line = append(st.line, data...)
	for {
		line, rest, found := bytes.Cut(st.line, []byte("\n"))
		if !found {
			return len(data), nil
		}
		s.show(mask(string(line), s.stdin))
		st.line = rest
	}
}
