package main

import (
	"fmt"
	"net"

	"github.com/go-git/go-billy/v5/osfs"
	nfs "github.com/willscott/go-nfs"
	"github.com/willscott/go-nfs/helpers"
	"golang.org/x/crypto/ssh"
)

// export serves the directory by NFS, as the stock client's -nfs does: on a
// forwarded port, which the fstab's first line names. That line comes back.
func export(client *ssh.Client) (string, error) {
	listener, err := client.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("tcpip-forward: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	// As many as the stock client has. When a directory has more names than there are handles, those of the files in
	// use go, and a program dies with SIGBUS.
	const handles = 1024 * 1024
	handler := helpers.NewCachingHandler(helpers.NewNullAuthHandler(osfs.New(*root)), handles)
	go nfs.Serve(listener, handler)
	options := fmt.Sprintf("rw,relatime,vers=3,rsize=1048576,wsize=1048576,namlen=255,hard,nolock,proto=tcp,port=%d,"+
		"timeo=600,retrans=2,sec=sys,mountaddr=127.0.0.1,mountvers=3,mountport=%d,mountproto=tcp,local_lock=all,"+
		"addr=127.0.0.1", port, port)
	return fmt.Sprintf("127.0.0.1:/export /tmp/cpu nfs %s 0 0\n", options), nil
}
