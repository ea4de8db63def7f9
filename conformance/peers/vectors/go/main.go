// A second implementation of the aznet operations on outside code: flynn/noise for handshakes and
// chunks, google/uuid for ids, the standard library for JSON, base64 and URLs.
//
// It speaks the line protocol of the conformance suite. Each reply says in "by" whose code decided:
// a case decided by glue written here is confirmed by nobody outside Stillwire.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
)

type object = map[string]any

// fault is an error reply: a class, and who decided.
type fault struct{ class, by string }

func (f fault) Error() string { return f.class + " by " + f.by }

const ours = "ours"

// goVersion names the standard library.
func goVersion() string { return "Go standard library " + runtime.Version()[2:] }

type args struct{ object }

func (a args) text(name string) string {
	text, ok := a.object[name].(string)
	if !ok {
		panic(fault{"encoding", ours})
	}
	return text
}

func (a args) has(name string) bool { _, ok := a.object[name]; return ok }

func (a args) bytes(name string) []byte {
	bytes, err := hex.DecodeString(a.text(name))
	if err != nil {
		panic(fault{"encoding", ours})
	}
	return bytes
}

func (a args) array(name string) (out [32]byte) {
	bytes := a.bytes(name)
	if len(bytes) != len(out) {
		panic(fault{"length", ours})
	}
	copy(out[:], bytes)
	return out
}

func (a args) number(name string) uint64 {
	number, err := strconv.ParseUint(fmt.Sprint(a.object[name]), 10, 64)
	if err != nil {
		panic(fault{"encoding", ours})
	}
	return number
}

func number(n uint64) any {
	if n < 1<<53 {
		return n
	}
	return strconv.FormatUint(n, 10)
}

var operations map[string]func(args) object

func init() {
	operations = map[string]func(args) object{
		"aznet.dial":         dial,
		"aznet.accept":       accept,
		"aznet.finish":       finish,
		"noise.handshake":    handshake,
		"aznet.chunk.seal":   chunkSeal,
		"aznet.chunk.open":   chunkOpen,
		"aznet.id.check":     idCheck,
		"aznet.queue.encode": queueEncode,
		"aznet.queue.decode": queueDecode,
		"aznet.url.parse":    urlParse,
	}
}

func answer(line []byte) (reply object) {
	defer func() {
		switch f := recover().(type) {
		case nil:
		case fault:
			reply = object{"error": object{"class": f.class, "by": f.by}}
		default:
			panic(f)
		}
	}()
	var request object
	decoder := json.NewDecoder(bytesReader(line))
	decoder.UseNumber()
	if err := decoder.Decode(&request); err != nil {
		panic(fault{"encoding", ours})
	}
	op, _ := request["op"].(string)
	switch operation := operations[op]; {
	case op == "hello":
		names := []string{"hello", "reset"}
		for name := range operations {
			names = append(names, name)
		}
		return object{
			"name": "flynn/noise and the Go standard library", "version": runtime.Version(), "format": 1,
			"ops": names, "profiles": []string{"default", "hardened"},
		}
	case op == "reset":
		dials = map[string]*dialed{}
		return object{}
	case operation == nil:
		return object{"unsupported": true}
	default:
		return operation(args{request})
	}
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			return
		}
		if err := out.Encode(answer(line)); err != nil {
			os.Exit(1)
		}
	}
}
