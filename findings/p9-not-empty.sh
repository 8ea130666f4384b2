#!/usr/bin/env bash
# p9-not-empty.sh
#
# Package    github.com/hugelgupf/p9 v0.3.0, with its localfs
# Guess      rmdir of a directory that is not empty is ENOTEMPTY (39), which is what the kernel told the server
# Behaviour  the server takes the error for one of Go's kinds first, of which "already exists" stands for ENOTEMPTY,
#            too, so Rlerror says EEXIST (17)
# Seen       os.Remove: 39, through 9P: 17
# Matters    `rmdir --ignore-fail-on-non-empty`, rsync and git look for ENOTEMPTY; the relay puts it right for
#            Tunlinkat and Trenameat
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOPATH=$folder/go GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get github.com/hugelgupf/p9@v0.3.0 >/dev/null 2>&1
cat >main.go <<'end'
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hugelgupf/p9/fsimpl/localfs"
	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
)

type attacher struct{ p9.Attacher }

// The localfs of this version has no UnlinkAt: this one is os.Remove's, as the stock client's.
type directory struct {
	p9.File
	path string
}

func (d directory) UnlinkAt(name string, _ uint32) error { return os.Remove(filepath.Join(d.path, name)) }

func (a attacher) Attach() (p9.File, error) {
	file, err := a.Attacher.Attach()
	return directory{file, os.Args[1]}, err
}

func main() {
	top := os.Args[1]
	if err := os.MkdirAll(filepath.Join(top, "full", "inner"), 0o755); err != nil {
		panic(err)
	}
	var here syscall.Errno
	errors.As(os.Remove(filepath.Join(top, "full")), &here)
	client, server := net.Pipe()
	go p9.NewServer(attacher{localfs.Attacher(top)}).Handle(server, server)
	c, err := p9.NewClient(client)
	if err != nil {
		panic(err)
	}
	root, err := c.Attach("/")
	if err != nil {
		panic(err)
	}
	var there linux.Errno
	errors.As(root.UnlinkAt("full", 0x200), &there)
	fmt.Printf("os.Remove: %d, through 9P: %d\n", here, there)
}
end
mkdir top
seen=$(go run . "$folder/top")
echo "$seen"
[ "$seen" = 'os.Remove: 39, through 9P: 17' ]
