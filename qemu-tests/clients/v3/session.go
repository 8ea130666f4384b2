package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// session opens the channel and makes the requests in the stock client's
// order (terminal, variables, command), then moves bytes until it ends.
func session(client *ssh.Client, variables []string, line string) (int, error) {
	s, err := client.NewSession()
	if err != nil {
		return 255, err
	}
	defer s.Close()
	if *pty != "" {
		if err := terminal(s); err != nil {
			return 255, err
		}
	}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		if err := s.Setenv(name, value); err != nil {
			return 255, fmt.Errorf("%s: %w", name, err)
		}
	}
	stdin, err := s.StdinPipe()
	if err != nil {
		return 255, err
	}
	stdout, err := s.StdoutPipe()
	if err != nil {
		return 255, err
	}
	stderr, err := s.StderrPipe()
	if err != nil {
		return 255, err
	}
	if err := s.Start(line); err != nil {
		return 255, fmt.Errorf("exec: %w", err)
	}

	go forwardSignals(s)
	watched, err := newWatcher(os.Stdout, s, stdin)
	if err != nil {
		return 255, err
	}
	if !watched.types {
		go func() {
			io.Copy(stdin, os.Stdin)
			stdin.Close()
		}()
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		io.Copy(watched, stdout)
	}()
	complained := make(chan struct{})
	go func() {
		defer close(complained)
		io.Copy(os.Stderr, stderr)
	}()
	err = s.Wait()
	if !*hasty {
		<-written
		<-complained
	}
	return status(err)
}

func terminal(s *ssh.Session) error {
	columns, rows, err := size(*pty)
	if err != nil {
		return err
	}
	asked := ssh.TerminalModes{ssh.TTY_OP_ISPEED: 115200, ssh.TTY_OP_OSPEED: 115200}
	for _, m := range modes {
		var opcode uint8
		var value uint32
		if _, err := fmt.Sscanf(m, "%d=%d", &opcode, &value); err != nil {
			return fmt.Errorf("mode %q: %w", m, err)
		}
		asked[opcode] = value
	}
	return s.RequestPty("ansi", rows, columns, asked)
}

func size(s string) (columns, rows int, err error) {
	if _, err := fmt.Sscanf(s, "%dx%d", &columns, &rows); err != nil {
		return 0, 0, fmt.Errorf("size %q: %w", s, err)
	}
	return columns, rows, nil
}

// forwardSignals passes on what is sent to this process itself.
func forwardSignals(s *ssh.Session) {
	names := map[os.Signal]ssh.Signal{syscall.SIGINT: ssh.SIGINT, syscall.SIGTERM: ssh.SIGTERM}
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, syscall.SIGINT, syscall.SIGTERM)
	for a := range arrived {
		s.Signal(names[a])
	}
}

// environment is what goes into env requests: our own variables, the fstab
// under both of its names, the working directory. The last one of a name holds.
func environment(table string) []string {
	var variables []string
	if *inherit {
		variables = os.Environ()
	}
	directory := *pwd
	if directory == "" {
		// An error leaves it empty, and the server names the missing $PWD.
		directory, _ = os.Getwd()
	}
	variables = append(variables, "PWD="+directory, "TMPDIR=/tmp", "CPU_FSTAB="+table, "LC_GLENDA_CPU_FSTAB="+table)
	for _, l := range large {
		name, value, _ := strings.Cut(l, "=")
		count, err := strconv.Atoi(value)
		if err != nil {
			fatal(err)
		}
		variables = append(variables, name+"="+strings.Repeat("x", count))
	}
	return append(variables, env...)
}

// mounts is the fstab: the one given, or a bind for each directory of the
// name space.
func mounts() string {
	if *fstab != "" {
		text, err := os.ReadFile(*fstab)
		if err != nil {
			fatal(err)
		}
		return string(text)
	}
	var lines strings.Builder
	for _, directory := range strings.FieldsFunc(*namespace, func(r rune) bool { return r == ':' }) {
		target, source, ok := strings.Cut(directory, "=")
		if !ok {
			source = target
		}
		fmt.Fprintf(&lines, "%s %s none defaults,bind 0 0\n", filepath.Join("/tmp/cpu", source), target)
	}
	return lines.String()
}

// fatal ends this process for an error in what it was told.
func fatal(err error) {
	fmt.Fprintf(os.Stderr, "v3: %v\n", err)
	os.Exit(255)
}

// quote makes a line that a POSIX shell would split into the same words.
func quote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// portOf is the port of an address such as 127.0.0.1:1234.
func portOf(address string) (int, error) {
	return strconv.Atoi(address[strings.LastIndexByte(address, ':')+1:])
}
