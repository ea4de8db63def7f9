package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// work is one connection and what has moved over it so far.
type work struct {
	*settings
	conn           net.Conn
	received, sent atomic.Int64
}

// moved ends the whole process when it was asked to vanish mid-stream: no FIN,
// no close, nothing flushed.
func (w *work) moved(counter *atomic.Int64, n int) {
	counter.Add(int64(n))
	if w.vanish >= 0 && w.received.Load()+w.sent.Load() >= w.vanish {
		os.Exit(9)
	}
}

func (w *work) Read(b []byte) (int, error) {
	n, err := w.conn.Read(b)
	w.moved(&w.received, n)
	return n, err
}

func (w *work) Write(b []byte) (int, error) {
	n, err := w.conn.Write(b)
	w.moved(&w.sent, n)
	return n, err
}

func (w *work) closeWrite() error {
	half, ok := w.conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("the connection has no CloseWrite")
	}
	return half.CloseWrite()
}

// plain hides every method but Read or Write, so that io.CopyBuffer really uses the buffer.
type plainReader struct{ io.Reader }
type plainWriter struct{ io.Writer }

func (w *work) copy(to io.Writer, from io.Reader) (int64, error) {
	return io.CopyBuffer(plainWriter{to}, plainReader{from}, make([]byte, w.buffer))
}

// echo gives everything back and half-closes after the peer did.
func (w *work) echo() error {
	if _, err := w.copy(w, w); err != nil {
		return err
	}
	return w.closeWrite()
}

// sendAll sends the source and half-closes.
func (w *work) sendAll() error {
	from, err := w.source()
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := w.copy(w, from); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return w.closeWrite()
}

// receiveAll reads to the end of the stream into the file asked for and a digest.
func (w *work) receiveAll() (string, error) {
	var to io.Writer = io.Discard
	if w.out != "" {
		f, err := os.Create(w.out)
		if err != nil {
			return "", err
		}
		defer f.Close()
		to = f
	}
	var h hash.Hash
	if w.digest {
		h = sha256.New()
		to = io.MultiWriter(to, h)
	}
	if _, err := w.copy(to, w); err != nil {
		return "", fmt.Errorf("receive: %w", err)
	}
	if h == nil {
		return "", nil
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// exchange sends the source and reads at the same time until the peer's end,
// and is an error unless exactly what was sent came back.
func (w *work) exchange() error {
	sent := make(chan error, 1)
	go func() { sent <- w.sendAll() }()
	back, err := w.source()
	if err != nil {
		return err
	}
	defer back.Close()
	var to io.Writer = &comparer{with: back}
	if w.file == "" {
		to = newChecker(w.seed)
	}
	if _, err := w.copy(to, w); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if err := <-sent; err != nil {
		return err
	}
	if w.sent.Load() != w.received.Load() {
		return fmt.Errorf("sent %d bytes, %d came back", w.sent.Load(), w.received.Load())
	}
	return nil
}

// comparer is a writer that compares what it is given with a reader.
type comparer struct {
	with io.Reader
	want []byte
}

func (c *comparer) Write(b []byte) (int, error) {
	if len(c.want) < len(b) {
		c.want = make([]byte, len(b))
	}
	if _, err := io.ReadFull(c.with, c.want[:len(b)]); err != nil {
		return 0, fmt.Errorf("more came back than was sent: %w", err)
	}
	if string(c.want[:len(b)]) != string(b) {
		return 0, errors.New("bytes differ from the file")
	}
	return len(b), nil
}

// pingPong writes one message and waits for it to come back, count times.
func (w *work) pingPong() ([]float64, error) {
	times := make([]float64, 0, w.count)
	from, check := newPattern(w.seed), newChecker(w.seed)
	message := make([]byte, w.size)
	for range w.count {
		_, _ = from.Read(message)
		start := time.Now()
		if _, err := w.Write(message); err != nil {
			return times, fmt.Errorf("ping: %w", err)
		}
		if _, err := io.ReadFull(w, message); err != nil {
			return times, fmt.Errorf("pong: %w", err)
		}
		times = append(times, since(start))
		if _, err := check.Write(message); err != nil {
			return times, err
		}
	}
	return times, w.closeWrite()
}

// writes sends count messages, each with its own Write, and half-closes.
func (w *work) writes() error {
	from := newPattern(w.seed)
	message := make([]byte, w.size)
	for range w.count {
		_, _ = from.Read(message)
		if _, err := w.Write(message); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return w.closeWrite()
}

// awaitEnd reads to the peer's end, which tells that it has everything.
func (w *work) awaitEnd() error {
	if _, err := w.copy(io.Discard, w); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	return nil
}
