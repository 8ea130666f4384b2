package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strings"
	"sync"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/crypto/ssh"
)

// nonceSize is what the server must write first on the 9P channel, and what
// CPUNONCE holds: 16 random bytes in hexadecimal.
const nonceSize = 32

// files is the 9P2000.L server of one session.
type files struct {
	nonce string
	port  int
	count counter
}

// served is the 9P channel, once the server has opened it.
var served = make(chan net.Conn, 1)

// garble says on the 9P channel what is no 9P: there is no type 99.
func garble() error {
	_, err := (<-served).Write([]byte("\x07\x00\x00\x00\x63\x01\x00"))
	return err
}

// serve asks for the remote forward, at 127.0.0.1 and else at ::1, and serves
// the one connection that comes back through it.
func serve(client *ssh.Client) (*files, error) {
	listener, err := client.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if listener, err = client.Listen("tcp", "[::1]:0"); err != nil {
			return nil, fmt.Errorf("tcpip-forward: %w", err)
		}
	}
	random := make([]byte, nonceSize/2)
	rand.Read(random)
	f := &files{nonce: hex.EncodeToString(random)}
	if f.port, err = portOf(listener.Addr().String()); err != nil {
		return nil, err
	}
	f.count.requests = make(map[uint8]int)
	go func() {
		defer listener.Close()
		if err := f.accept(listener); err != nil && err != io.EOF {
			fmt.Fprintf(os.Stderr, "v3: 9P: %v\n", err)
		}
	}()
	return f, nil
}

func (f *files) accept(listener net.Listener) error {
	channel, err := listener.Accept()
	if err != nil {
		// The session ended without a mount: the session's own error tells.
		return nil
	}
	defer channel.Close()
	said := make([]byte, nonceSize)
	if _, err := io.ReadFull(channel, said); err != nil {
		return fmt.Errorf("no nonce: %w", err)
	}
	if !bytes.Equal(said, []byte(f.nonce)) {
		return fmt.Errorf("the server's nonce is %q, not ours", said)
	}
	if *passTo != "" {
		return pass(channel, *passTo)
	}
	f.count.from = channel
	served <- channel
	return p9.NewServer(&disk{path: *root}).Handle(&f.count, channel)
}

// pass joins the channel with a connection to address, until either ends.
func pass(channel net.Conn, address string) error {
	other, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer other.Close()
	go func() {
		defer channel.Close()
		io.Copy(channel, other)
	}()
	io.Copy(other, channel)
	return nil
}

// requests names the 9P2000.L requests, from the Linux kernel's
// include/net/9p/9p.h, and from 124 on those of 9P2000.L.Google, from
// hugelgupf/p9's p9/p9.go.
var requests = map[uint8]string{
	8: "Tstatfs", 12: "Tlopen", 14: "Tlcreate", 16: "Tsymlink", 18: "Tmknod", 20: "Trename",
	22: "Treadlink", 24: "Tgetattr", 26: "Tsetattr", 30: "Txattrwalk", 32: "Txattrcreate",
	40: "Treaddir", 50: "Tfsync", 52: "Tlock", 54: "Tgetlock", 70: "Tlink", 72: "Tmkdir",
	74: "Trenameat", 76: "Tunlinkat", 100: "Tversion", 102: "Tauth", 104: "Tattach",
	108: "Tflush", 110: "Twalk", 116: "Tread", 118: "Twrite", 120: "Tclunk", 122: "Tremove",
	124: "Tflushf", 126: "Twalkgetattr", 128: "Tucreate", 130: "Tumkdir", 132: "Tumknod", 134: "Tusymlink",
}

const tread = 116

// counter counts the requests that go by, and dies at the Tread it was told.
type counter struct {
	from net.Conn

	// header collects size[4] type[1]; skip is what is left of the message.
	header []byte
	skip   uint32

	mu       sync.Mutex
	requests map[uint8]int
}

func (c *counter) Close() error { return c.from.Close() }

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		if c.skip > 0 {
			step := min(c.skip, uint32(len(rest)))
			rest, c.skip = rest[step:], c.skip-step
			continue
		}
		c.header, rest = append(c.header, rest[0]), rest[1:]
		if len(c.header) == 5 {
			c.saw(c.header[4])
			c.skip = max(binary.LittleEndian.Uint32(c.header), 5) - 5
			c.header = c.header[:0]
		}
	}
	return n, err
}

func (c *counter) saw(request uint8) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[request]++
	if *dieAfter > 0 && request == tread && int64(c.requests[tread]) >= *dieAfter {
		die()
	}
}

// report writes a line "COUNT NAME" for each request, the most frequent first.
func (f *files) report() {
	if *counts == "" {
		return
	}
	f.count.mu.Lock()
	defer f.count.mu.Unlock()
	var types []uint8
	for t := range f.count.requests {
		types = append(types, t)
	}
	sort.Slice(types, func(i, j int) bool { return f.count.requests[types[i]] > f.count.requests[types[j]] })
	var text strings.Builder
	for _, t := range types {
		name, known := requests[t]
		if !known {
			name = fmt.Sprintf("T%d", t)
		}
		fmt.Fprintf(&text, "%d %s\n", f.count.requests[t], name)
	}
	if err := os.WriteFile(*counts, []byte(text.String()), 0o644); err != nil {
		fmt.Fprintf(os.Stderr, "v3: %v\n", err)
	}
}
