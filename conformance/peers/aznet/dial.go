package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/atsika/aznet"
)

func dial(s *settings, connectionURL string) int {
	switch s.mode {
	case "echo", "send", "receive", "pingpong", "writes", "connect":
	default:
		usage("dial has the modes echo, send, receive, pingpong, writes and connect")
	}
	var failed atomic.Bool
	var all sync.WaitGroup
	for number := 1; number <= max(s.connections, 1); number++ {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := one(s, connectionURL, number); err != nil {
				failed.Store(true)
			}
		}()
	}
	all.Wait()
	if failed.Load() {
		return 1
	}
	return 0
}

func one(s *settings, connectionURL string, number int) error {
	r := report{Event: "connected", Number: number}
	start := time.Now()
	c, err := aznet.Dial(s.driver, connectionURL, s.options()...)
	r.Seconds = since(start)
	if err != nil {
		r.Event, r.Error = "failed", err.Error()
		r.print()
		return err
	}
	r.print()
	time.Sleep(s.settle)

	w := &work{settings: s, conn: c}
	r = report{Event: "done", Number: number, Mode: s.mode}
	start = time.Now()
	switch s.mode {
	case "echo":
		err = w.exchange()
	case "send":
		err = w.sendAll()
		if err == nil {
			err = w.awaitEnd()
		}
	case "receive":
		r.SHA256, err = w.receiveAll()
		if err == nil {
			err = w.closeWrite()
		}
	case "pingpong":
		r.Times, err = w.pingPong()
		if err == nil {
			err = w.awaitEnd()
		}
	case "writes":
		err = w.writes()
		if err == nil {
			err = w.awaitEnd()
		}
	case "connect":
		err = w.closeWrite()
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
	if closing := c.Close(); closing != nil {
		fmt.Fprintln(os.Stderr, "aznet-peer: close:", closing)
	}
	return err
}
