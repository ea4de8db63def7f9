package main

import (
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/atsika/aznet"
)

func listen(s *settings) int {
	switch s.mode {
	case "echo", "sink", "source":
	default:
		usage("listen has the modes echo, sink and source")
	}
	address, err := s.address()
	if err != nil {
		usage(err.Error())
	}
	l, err := aznet.Listen(s.driver, address, s.options()...)
	if err != nil {
		report{Event: "failed", Error: err.Error()}.print()
		return 1
	}
	tells, ok := l.(interface{ ConnectionString() (string, error) })
	if !ok {
		report{Event: "failed", Error: "the listener has no connection URL"}.print()
		return 1
	}
	connectionURL, err := tells.ConnectionString()
	if err != nil {
		report{Event: "failed", Error: err.Error()}.print()
		return 1
	}
	report{Event: "listening", URL: connectionURL}.print()

	var failed atomic.Bool
	var serving sync.WaitGroup
	for number := 1; s.connections == 0 || number <= s.connections; number++ {
		c, err := l.Accept()
		if err != nil {
			report{Event: "failed", Number: number, Error: err.Error()}.print()
			failed.Store(true)
			break
		}
		serving.Add(1)
		go func() {
			defer serving.Done()
			if !serve(s, c, number) {
				failed.Store(true)
			}
		}()
	}
	serving.Wait()
	if err := l.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "aznet-peer: close of the listener:", err)
	}
	if failed.Load() {
		return 1
	}
	return 0
}

func serve(s *settings, c net.Conn, number int) bool {
	w := &work{settings: s, conn: c}
	r := report{Event: "done", Number: number, Mode: s.mode}
	start := time.Now()
	var err error
	switch s.mode {
	case "echo":
		err = w.echo()
	case "sink":
		r.SHA256, err = w.receiveAll()
		if err == nil {
			err = w.closeWrite()
		}
	case "source":
		err = w.sendAll()
		if err == nil {
			err = w.awaitEnd()
		}
	}
	r.Seconds = since(start)
	r.Received, r.Sent, r.Counted = w.received.Load(), w.sent.Load(), countedOf(c)
	if err != nil {
		r.Event, r.Error = "failed", err.Error()
	}
	r.print()
	// The full close deletes the session, with whatever the peer has not read yet.
	time.Sleep(s.linger)
	if closing := c.Close(); closing != nil {
		fmt.Fprintln(os.Stderr, "aznet-peer: close:", closing)
	}
	return err == nil
}
