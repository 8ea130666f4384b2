package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// reaction is something to do once, when a word shows up in the output.
type reaction struct {
	word []byte
	act  func() error
	done bool
}

// watcher hands the output on and reacts to words in it, in the order in
// which the reactions were given.
type watcher struct {
	out     io.Writer
	tail    []byte
	longest int
	// types: a reaction types something, so what it types is all of stdin.
	types     bool
	reactions []*reaction
}

func newWatcher(out io.Writer, s *ssh.Session, stdin io.Writer) (*watcher, error) {
	w := &watcher{out: out}
	for _, r := range reactions {
		word, action, _ := strings.Cut(r, "=")
		act, err := parse(action, s, stdin)
		if err != nil {
			return nil, err
		}
		w.types = w.types || strings.HasPrefix(action, "type ")
		w.longest = max(w.longest, len(word))
		w.reactions = append(w.reactions, &reaction{word: []byte(word), act: act})
	}
	return w, nil
}

func parse(action string, s *ssh.Session, stdin io.Writer) (func() error, error) {
	verb, object, _ := strings.Cut(action, " ")
	switch verb {
	case "resize":
		columns, rows, err := size(object)
		return func() error { return s.WindowChange(rows, columns) }, err
	case "signal":
		return func() error { return s.Signal(ssh.Signal(object)) }, nil
	case "type":
		return func() error { _, err := io.WriteString(stdin, object+"\n"); return err }, nil
	case "die":
		return die, nil
	case "garble":
		return garble, nil
	}
	return nil, fmt.Errorf("no such action: %q", action)
}

// die ends this process as a crash would: nothing is said to the server.
func die() error {
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func (w *watcher) Write(p []byte) (int, error) {
	n, err := w.out.Write(p)
	if err != nil || w.longest == 0 {
		return n, err
	}
	// A word may come in two writes: keep one byte less than the longest.
	seen := append(w.tail, p...)
	for _, r := range w.reactions {
		if !r.done && bytes.Contains(seen, r.word) {
			r.done = true
			if err := r.act(); err != nil {
				return n, err
			}
		}
	}
	w.tail = bytes.Clone(seen[max(0, len(seen)-w.longest+1):])
	return n, nil
}
