#!/usr/bin/env bash
# p9-drops-setuid.sh
#
# Package    github.com/hugelgupf/p9 v0.3.0, the 9P server that the stock cpu client serves with
# Guess      a chmod with set-user-ID reaches the file, or is refused
# Behaviour  the library cuts 06000 off the mode and says that it is done: 04755 arrives as 0755, and 0750 takes
#            the set-group-ID bit of a file that has it
# Seen       asked 4755, the file server was told 755, error <nil>
# Matters    `install -m 4755` and `chmod g+w` of a setgid directory "work" and do something else; the relay answers
#            EPERM before such a chmod is sent
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
	"fmt"
	"net"

	"github.com/hugelgupf/p9/p9"
)

// What is asked of it is below.
type file struct{ p9.File }

func (file) Attach() (p9.File, error) { return file{}, nil }

func (file) GetAttr(p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	return p9.QID{}, p9.AttrMask{Mode: true}, p9.Attr{Mode: p9.ModeRegular | 0o2755}, nil
}

func (file) SetAttr(_ p9.SetAttrMask, attr p9.SetAttr) error {
	fmt.Printf("the file server was told %o", uint32(attr.Permissions))
	return nil
}

func (file) Close() error { return nil }

func main() {
	client, server := net.Pipe()
	go p9.NewServer(file{}).Handle(server, server)
	c, err := p9.NewClient(client)
	if err != nil {
		panic(err)
	}
	root, err := c.Attach("/")
	if err != nil {
		panic(err)
	}
	fmt.Printf("asked 4755, ")
	err = root.SetAttr(p9.SetAttrMask{Permissions: true}, p9.SetAttr{Permissions: 0o4755})
	fmt.Printf(", error %v\n", err)
}
end
seen=$(go run .)
echo "$seen"
[ "$seen" = 'asked 4755, the file server was told 755, error <nil>' ]
