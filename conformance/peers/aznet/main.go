// Command aznet-peer is the other side of Stillwire's interoperability tests and
// benchmarks: a small program of ours on the Go module github.com/atsika/aznet.
//
//	aznet-peer listen [flags]       serve connections; the first line has the URL
//	aznet-peer dial [flags] URL     connect and do one piece of work per connection
//
// Every line on standard output is one JSON object with an "event": "listening"
// (url), "connected" (seconds), "done" (the figures of one connection) or
// "failed" (error). Standard error is free text. The exit code is 0 when every
// connection did its work, 1 when one failed, 2 for bad usage.
//
// The account comes from --endpoint, --account and --key, or from
// AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/atsika/aznet"
)

// settings holds every flag; listen and dial share the ones that mean the same.
type settings struct {
	driver, endpoint, account, key string
	handshake, token               string
	mode, file, out                string
	bytes, seed                    int64
	size, count, connections       int
	buffer                         int
	vanish                         int64
	digest, exitWithStdin          bool
	linger, settle, connectTimeout time.Duration
	fastPoll, dataPoll, acceptPoll time.Duration
	idle, ping                     time.Duration
}

func parse(verb string, arguments []string) (*settings, []string) {
	s := &settings{}
	f := flag.NewFlagSet(verb, flag.ExitOnError)
	f.StringVar(&s.driver, "driver", "azblob", "azblob, azqueue or aztable")
	f.StringVar(&s.mode, "mode", "echo", "listen: echo, sink, source; dial: echo, send, receive, pingpong, writes, connect")
	f.StringVar(&s.file, "file", "", "send this file instead of the pattern")
	f.StringVar(&s.out, "out", "", "write what arrives to this file")
	f.Int64Var(&s.bytes, "bytes", 0, "how many pattern bytes to send")
	f.Int64Var(&s.seed, "seed", 1, "seed of the pattern")
	f.IntVar(&s.size, "size", 1024, "bytes of one ping or one small write")
	f.IntVar(&s.count, "count", 100, "number of pings or small writes")
	f.IntVar(&s.connections, "connections", 0, "listen: stop after so many (0: never); dial: how many at once (0: one)")
	f.IntVar(&s.buffer, "buffer", 32*1024, "bytes given to one Read or Write (32 KiB is what io.Copy uses)")
	f.Int64Var(&s.vanish, "vanish", -1, "exit at once, without a word, after so many bytes moved either way")
	f.BoolVar(&s.digest, "digest", true, "hash what arrives (sink, receive)")
	f.BoolVar(&s.exitWithStdin, "exit-with-stdin", false, "exit when standard input closes")
	f.StringVar(&s.handshake, "handshake", aznet.DefaultHandshakeEndpoint, "name of the handshake resource")
	f.StringVar(&s.token, "token", aznet.DefaultTokenEndpoint, "name of the token resource")
	f.DurationVar(&s.fastPoll, "fast-poll", aznet.DefaultFastPoll, "poll interval while data flows")
	f.DurationVar(&s.dataPoll, "data-poll", aznet.DefaultDataPoll, "poll interval when idle")
	f.DurationVar(&s.acceptPoll, "accept-poll", aznet.DefaultAcceptPoll, "poll interval of the listener for dialers")
	f.DurationVar(&s.idle, "idle", aznet.DefaultIdleTimeout, "silence after which the peer counts as dead")
	f.DurationVar(&s.ping, "ping", aznet.DefaultPingInterval, "keep-alive interval")
	f.DurationVar(&s.connectTimeout, "connect-timeout", aznet.DefaultConnectTimeout, "how long dial waits for the listener")
	f.DurationVar(&s.linger, "linger", 3*time.Second, "listen: wait before the full close, which deletes what the peer has not read")
	f.DurationVar(&s.settle, "settle", 0, "dial: wait before the first write, which fails while the Go listener still makes the blobs")
	if verb == "listen" {
		f.StringVar(&s.endpoint, "endpoint", os.Getenv("AZURE_STORAGE_ENDPOINT"), "service URL, account path included for an emulator")
		f.StringVar(&s.account, "account", os.Getenv("AZURE_STORAGE_ACCOUNT"), "storage account")
		f.StringVar(&s.key, "key", os.Getenv("AZURE_STORAGE_KEY"), "base64 account key")
	}
	_ = f.Parse(arguments) // ExitOnError
	if s.buffer <= 0 || s.size <= 0 || s.count < 0 || s.bytes < 0 {
		usage("--buffer and --size are positive, --count and --bytes not negative")
	}
	return s, f.Args()
}

func (s *settings) options() []aznet.Option {
	return []aznet.Option{
		aznet.WithEndpoints(s.handshake, s.token),
		aznet.WithFastPoll(s.fastPoll),
		aznet.WithDataPoll(s.dataPoll),
		aznet.WithAcceptPoll(s.acceptPoll),
		aznet.WithIdleTimeout(s.idle),
		aznet.WithPing(s.ping),
		aznet.WithConnectTimeout(s.connectTimeout),
	}
}

// address spells the endpoint with the account and its key as the user part.
func (s *settings) address() (string, error) {
	u, err := url.Parse(s.endpoint)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("--endpoint is not a URL")
	}
	if s.account == "" {
		s.account = strings.Trim(u.Path, "/")
	}
	if s.key != "" {
		u.User = url.UserPassword(s.account, s.key)
	}
	return u.String(), nil
}

func usage(problem string) {
	fmt.Fprintln(os.Stderr, "aznet-peer: "+problem)
	fmt.Fprintln(os.Stderr, "usage: aznet-peer listen [flags] | aznet-peer dial [flags] URL (see --help of either)")
	os.Exit(2)
}

// followStdin ends the process with its parent, however the parent ends.
func followStdin(r io.Reader) {
	go func() {
		_, _ = io.Copy(io.Discard, r)
		os.Exit(3)
	}()
}

func main() {
	if len(os.Args) < 2 {
		usage("a verb is missing")
	}
	verb := os.Args[1]
	if verb != "listen" && verb != "dial" {
		usage("unknown verb " + verb)
	}
	s, rest := parse(verb, os.Args[2:])
	stdin := bufio.NewReader(os.Stdin)
	if verb == "listen" {
		if len(rest) != 0 {
			usage("listen takes flags only")
		}
		if s.exitWithStdin {
			followStdin(stdin)
		}
		os.Exit(listen(s))
	}
	connectionURL := os.Getenv("STILLWIRE_TICKET")
	if len(rest) == 1 {
		connectionURL = rest[0]
	}
	if connectionURL == "-" {
		line, err := stdin.ReadString('\n')
		if err != nil && err != io.EOF {
			usage("no URL on standard input")
		}
		connectionURL = strings.TrimSpace(line)
	}
	if connectionURL == "" || len(rest) > 1 {
		usage("dial takes one URL")
	}
	if s.exitWithStdin {
		followStdin(stdin)
	}
	os.Exit(dial(s, connectionURL))
}
