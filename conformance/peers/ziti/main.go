// Command ziti-peer is the other end of Stillwire's interoperability tests: a
// small program of ours on the Go module github.com/openziti/secretstream.
//
//	ziti-peer client|server [REKEY]
//
// It speaks on standard input and output: a fresh public key, the framed header,
// then framed messages, each of which it sends back until the final one. With
// REKEY, every so many messages bear the tag REKEY, which this module hands on
// and does not follow. The last line on standard error tells what came. The exit
// code is 0 when the stream ended with the final message.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/openziti/secretstream"
	"github.com/openziti/secretstream/kx"
)

const longest = 16 << 20

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ziti-peer:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 1 {
		return fmt.Errorf("usage: ziti-peer client|server [REKEY]")
	}
	every := 0
	if len(arguments) > 1 {
		var err error
		if every, err = strconv.Atoi(arguments[1]); err != nil {
			return err
		}
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<17)
	out := bufio.NewWriterSize(os.Stdout, 1<<17)

	pair, err := kx.NewKeyPair()
	if err != nil {
		return err
	}
	if _, err := out.Write(pair.Public()); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	key := make([]byte, kx.PublicKeyBytes)
	if _, err := io.ReadFull(in, key); err != nil {
		return fmt.Errorf("no public key: %w", err)
	}
	var rx, tx []byte
	switch arguments[0] {
	case "client":
		rx, tx, err = pair.ClientSessionKeys(key)
	case "server":
		rx, tx, err = pair.ServerSessionKeys(key)
	default:
		return fmt.Errorf("unknown role %q", arguments[0])
	}
	if err != nil {
		return err
	}
	encryptor, header, err := secretstream.NewEncryptor(tx)
	if err != nil {
		return err
	}
	if err := write(out, header); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	header, err = read(in)
	if err != nil {
		return fmt.Errorf("no header: %w", err)
	}
	decryptor, err := secretstream.NewDecryptor(rx, header)
	if err != nil {
		return err
	}
	return echo(in, out, encryptor, decryptor, every)
}

func echo(in *bufio.Reader, out *bufio.Writer, encryptor secretstream.Encryptor, decryptor secretstream.Decryptor, every int) error {
	messages, bytes := 0, 0
	for {
		sealed, err := read(in)
		if err != nil {
			return fmt.Errorf("no final message after %d: %w", messages, err)
		}
		plain, tag, err := decryptor.Pull(sealed)
		if err != nil {
			return fmt.Errorf("message %d: %w", messages+1, err)
		}
		answer := byte(secretstream.TagMessage)
		switch {
		case tag == secretstream.TagFinal:
			answer = secretstream.TagFinal
		case every > 0 && messages%every == 0:
			answer = secretstream.TagRekey
		}
		if sealed, err = encryptor.Push(plain, answer); err != nil {
			return err
		}
		if err := write(out, sealed); err != nil {
			return err
		}
		messages++
		bytes += len(plain)
		// Nothing waits here while nothing comes.
		if in.Buffered() == 0 || tag == secretstream.TagFinal {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		if tag == secretstream.TagFinal {
			fmt.Fprintf(os.Stderr, "final after %d messages and %d bytes\n", messages, bytes)
			return nil
		}
	}
}

func write(out io.Writer, message []byte) error {
	if err := binary.Write(out, binary.BigEndian, uint32(len(message))); err != nil {
		return err
	}
	_, err := out.Write(message)
	return err
}

func read(in io.Reader) ([]byte, error) {
	var length uint32
	if err := binary.Read(in, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	if length > longest {
		return nil, fmt.Errorf("a message of %d bytes", length)
	}
	message := make([]byte, length)
	_, err := io.ReadFull(in, message)
	return message, err
}
