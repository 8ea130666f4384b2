#!/usr/bin/env bash
# p9-localfs-times.sh
#
# Package    github.com/hugelgupf/p9 v0.3.0, its own file server localfs
# Guess      setting a file's time of change to now sets it, or is ENOSYS as its chmod is
# Behaviour  localfs counts this among what it supports, answers success, and leaves the file as it is
# Seen       chmod ENOSYS: true, mtime: <nil>, year: 2020
# Matters    with a client that serves by localfs in place of the stock client's server, `touch` and `make` believe that
#            a file is new. Nothing in Rsetattr tells; only asking again does
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
	"time"

	"github.com/hugelgupf/p9/fsimpl/localfs"
	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
)

func main() {
	path := filepath.Join(os.Args[1], "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		panic(err)
	}
	old := time.Date(2020, 2, 2, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(path, old, old); err != nil {
		panic(err)
	}
	client, server := net.Pipe()
	go p9.NewServer(localfs.Attacher(os.Args[1])).Handle(server, server)
	c, err := p9.NewClient(client)
	if err != nil {
		panic(err)
	}
	root, err := c.Attach("/")
	if err != nil {
		panic(err)
	}
	_, file, err := root.Walk([]string{"file"})
	if err != nil {
		panic(err)
	}
	mode := file.SetAttr(p9.SetAttrMask{Permissions: true}, p9.SetAttr{Permissions: 0o640})
	touch := file.SetAttr(p9.SetAttrMask{MTime: true}, p9.SetAttr{})
	about, err := os.Stat(path)
	if err != nil {
		panic(err)
	}
	fmt.Printf("chmod ENOSYS: %v, mtime: %v, year: %d\n",
		errors.Is(mode, linux.ENOSYS), touch, about.ModTime().UTC().Year())
}
end
mkdir top
seen=$(go run . "$folder/top")
echo "$seen"
[ "$seen" = 'chmod ENOSYS: true, mtime: <nil>, year: 2020' ]
