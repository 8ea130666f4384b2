// Command v3 is a client of the third generation of cpu, made for the tests
// from the libraries of the stock client: x/crypto/ssh and hugelgupf/p9.
//
// It says on the wire what the stock client says, in the same order, and has
// besides what a test wants to steer: which variables are sent, what happens
// when a word shows up in the output, a death in the middle of a read.
//
// It exits with the command's status; with 128 plus the signal's number, and
// a line on stderr, when a signal ended the command; with 255 when it failed
// itself.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// list is a flag that may be given any number of times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

var (
	host      = flag.String("host", "127.0.0.1", "`address` of the server")
	port      = flag.String("port", "17010", "`port` of the server")
	user      = flag.String("user", "root", "user `name`")
	key       = flag.String("key", "", "`file` with the private key; none: no key is offered")
	hostKey   = flag.String("host-key", "", "`file` with the server's public key; none: any is taken")
	cipher    = flag.String("cipher", "", "the one cipher to offer; none: the library's own list")
	rekey     = flag.Uint64("rekey", 0, "ask for new keys every so many `bytes`; 0: the library's own limit")
	ninep     = flag.Bool("9p", true, "serve files to the session")
	byNFS     = flag.Bool("nfs", false, "serve them by NFS, not by 9P")
	root      = flag.String("root", "/", "`directory` to serve")
	namespace = flag.String("namespace", "/lib:/lib64:/usr:/bin:/etc:/home", "directories to bind, as [TARGET=]SOURCE, separated by colons")
	fstab     = flag.String("fstab", "", "`file` with an fstab to send in place of the name space's")
	pwd       = flag.String("pwd", "", "working `directory` to ask for; none: this one")
	inherit   = flag.Bool("inherit", true, "send the whole environment, as the stock client does")
	pty       = flag.String("pty", "", "ask for a terminal of `COLUMNSxROWS`")
	hasty     = flag.Bool("hasty", false, "exit when the channel closes, as the stock client does, even with output not yet written")
	counts    = flag.String("counts", "", "write the number of 9P requests of each type to this `file`")
	noRename  = flag.Bool("no-rename", false, "answer EOPNOTSUPP to each rename, as a small FUSE file system does")
	noRoom    = flag.Bool("write-nothing", false, "take 0 bytes of each write")
	passTo    = flag.String("pass-9p-to", "", "serve nothing, and connect the 9P channel to this `address`")
	dieAfter  = flag.Int64("die-after-reads", 0, "die without a word at the `n`th Tread")

	env, large, modes, reactions, deaf list
)

func main() {
	flag.Var(&env, "env", "send `NAME=VALUE` too (repeatable)")
	flag.Var(&large, "large", "send `NAME=SIZE`, a variable of so many bytes, which no command line could hold (repeatable)")
	flag.Var(&modes, "mode", "terminal mode `OPCODE=VALUE`, RFC 4254 section 8 (repeatable)")
	flag.Var(&deaf, "deaf", "never answer a `REQUEST=NAME`, for a file of that name: Tread, Twrite, Tunlinkat, Tlock (repeatable)")
	flag.Var(&reactions, "on", "`WORD=ACTION`: once WORD shows up in the output: resize CxR, signal NAME, type TEXT, garble, die (repeatable)")
	flag.Parse()
	status, err := run(flag.Args())
	if err != nil {
		fmt.Fprintf(os.Stderr, "v3: %v\n", err)
	}
	os.Exit(status)
}

func run(command []string) (int, error) {
	client, err := dial()
	if err != nil {
		return 255, err
	}
	defer client.Close()

	line, table := quote(command), mounts()
	if *byNFS {
		first, err := export(client)
		if err != nil {
			return 255, err
		}
		table = first + table
	}
	variables := environment(table)
	if *ninep && !*byNFS {
		files, err := serve(client)
		if err != nil {
			return 255, err
		}
		variables = append(variables, "CPUNONCE="+files.nonce)
		line = strings.TrimSpace(fmt.Sprintf("-port9p=%d %s", files.port, line))
		defer files.report()
	}
	return session(client, variables, line)
}

func dial() (*ssh.Client, error) {
	config := ssh.ClientConfig{User: *user, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
	config.RekeyThreshold = *rekey
	if *cipher != "" {
		config.Ciphers = []string{*cipher}
	}
	if *key != "" {
		pem, err := os.ReadFile(*key)
		if err != nil {
			return nil, err
		}
		signer, err := ssh.ParsePrivateKey(pem)
		if err != nil {
			return nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if *hostKey != "" {
		line, err := os.ReadFile(*hostKey)
		if err != nil {
			return nil, err
		}
		public, _, _, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			return nil, err
		}
		config.HostKeyCallback = ssh.FixedHostKey(public)
	}
	return ssh.Dial("tcp", net.JoinHostPort(*host, *port), &config)
}

// status says how the command ended, from what Session.Wait returned.
func status(err error) (int, error) {
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.Signal() != "":
		// The library has added 128 and the number for the signals it knows.
		return exit.ExitStatus(), fmt.Errorf("signal %s", exit.Signal())
	case errors.As(err, &exit):
		return exit.ExitStatus(), nil
	case errors.Is(err, io.EOF):
		return 255, errors.New("the connection ended before the command did")
	default:
		return 255, err
	}
}
