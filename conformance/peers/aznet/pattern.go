package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// pattern is an endless deterministic stream: the outputs of splitmix64 from a
// seed, little-endian. It costs next to nothing to make, so both sides of a
// benchmark can check every byte without hashing.
type pattern struct {
	state uint64
	word  [8]byte
	left  int // bytes of word not given out yet
}

func newPattern(seed int64) *pattern { return &pattern{state: uint64(seed)} }

func (p *pattern) next() uint64 {
	p.state += 0x9e3779b97f4a7c15
	z := p.state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// Read fills b whole and never fails.
func (p *pattern) Read(b []byte) (int, error) {
	n := copy(b, p.word[8-p.left:])
	p.left -= n
	for ; len(b)-n >= 8; n += 8 {
		binary.LittleEndian.PutUint64(b[n:], p.next())
	}
	if n < len(b) {
		binary.LittleEndian.PutUint64(p.word[:], p.next())
		p.left = 8 - copy(b[n:], p.word[:])
	}
	return len(b), nil
}

// checker is a writer that compares what it is given with the pattern.
type checker struct {
	pattern *pattern
	want    []byte
	offset  int64
}

func newChecker(seed int64) *checker { return &checker{pattern: newPattern(seed)} }

func (c *checker) Write(b []byte) (int, error) {
	if len(c.want) < len(b) {
		c.want = make([]byte, len(b))
	}
	want := c.want[:len(b)]
	_, _ = c.pattern.Read(want)
	if !bytes.Equal(b, want) {
		return 0, fmt.Errorf("bytes differ from the pattern after offset %d", c.offset)
	}
	c.offset += int64(len(b))
	return len(b), nil
}

// source is what a side sends: a file, or so many bytes of the pattern.
func (s *settings) source() (io.ReadCloser, error) {
	if s.file != "" {
		return os.Open(s.file)
	}
	return io.NopCloser(io.LimitReader(newPattern(s.seed), s.bytes)), nil
}
