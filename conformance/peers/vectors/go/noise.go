package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/flynn/noise"
)

const byNoise = "flynn/noise 1.1.0"

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)

func bytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// refused turns an error of flynn/noise into a class.
func refused(err error) fault {
	switch {
	case errors.Is(err, noise.ErrShortMessage):
		return fault{"truncated", byNoise}
	case errors.Is(err, noise.ErrMaxNonce):
		return fault{"nonce_limit", byNoise}
	case strings.Contains(err.Error(), "low order"):
		return fault{"weak_key", byNoise}
	default:
		return fault{"auth", byNoise}
	}
}

func check(err error) {
	if err != nil {
		panic(refused(err))
	}
}

func config(a args, initiator bool, e string) *noise.HandshakeState {
	secret := a.array(e)
	c := noise.Config{CipherSuite: suite, Initiator: initiator, Random: bytes.NewReader(secret[:])}
	if a.has("prologue") {
		c.Prologue = a.bytes("prologue")
	}
	switch a.text("profile") {
	case "nn":
		c.Pattern = noise.HandshakeNN
	case "nnpsk0":
		c.Pattern = noise.HandshakeNN
		psk := a.array("psk")
		c.PresharedKey = psk[:]
	case "nk":
		c.Pattern = noise.HandshakeNK
		if a.has("s") {
			s := a.array("s")
			pair, err := noise.DH25519.GenerateKeypair(bytes.NewReader(s[:]))
			check(err)
			if initiator {
				c.PeerStatic = pair.Public
			} else {
				c.StaticKeypair = pair
			}
		} else {
			rs := a.array("rs")
			c.PeerStatic = rs[:]
		}
	default:
		panic(fault{"encoding", ours})
	}
	state, err := noise.NewHandshakeState(c)
	check(err)
	return state
}

type dialed struct{ state *noise.HandshakeState }

var dials = map[string]*dialed{}

func dial(a args) object {
	state := config(a, true, "e")
	msg1, _, _, err := state.WriteMessage(nil, []byte(a.text("id")))
	check(err)
	handle := fmt.Sprintf("dial-%d", len(dials)+1)
	dials[handle] = &dialed{state}
	return object{"handle": handle, "msg1": hex.EncodeToString(msg1), "by": byNoise}
}

func accept(a args) object {
	state := config(a, false, "e")
	msg1 := a.bytes("msg1")
	if len(msg1) > noise.MaxMsgLen {
		panic(fault{"limit", ours})
	}
	id, _, _, err := state.ReadMessage(nil, msg1)
	check(err)
	if !utf8.Valid(id) {
		panic(fault{"name", goVersion()})
	}
	canonical(string(id))
	msg2, i2r, r2i, err := state.WriteMessage(nil, []byte(a.text("tokens")))
	check(err)
	if len(msg2) > noise.MaxMsgLen {
		panic(fault{"limit", ours})
	}
	return object{
		"id": string(id), "msg2": hex.EncodeToString(msg2), "hash": hex.EncodeToString(state.ChannelBinding()),
		"i2r": key(i2r), "r2i": key(r2i), "by": byNoise,
	}
}

func finish(a args) object {
	handle := a.text("handle")
	d := dials[handle]
	if d == nil {
		panic(fault{"state", ours})
	}
	delete(dials, handle)
	msg2 := a.bytes("msg2")
	if len(msg2) > noise.MaxMsgLen {
		panic(fault{"limit", ours})
	}
	payload, i2r, r2i, err := d.state.ReadMessage(nil, msg2)
	check(err)
	req, res := tokens(payload)
	return object{
		"req": req, "res": res, "hash": hex.EncodeToString(d.state.ChannelBinding()),
		"i2r": key(i2r), "r2i": key(r2i), "by": byNoise,
	}
}

// tokens reads message 2's payload. What encoding/json refuses it decides; what only the wire page
// forbids (a key twice, missing, in another case, null) is decided here.
func tokens(payload []byte) (string, string) {
	var lax struct{ Req, Res string }
	if !utf8.Valid(payload) {
		panic(fault{"encoding", ours})
	}
	if err := json.Unmarshal(payload, &lax); err != nil {
		panic(fault{"encoding", goVersion()})
	}
	found := map[string]string{}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	if start, _ := decoder.Token(); start != json.Delim('{') {
		panic(fault{"encoding", ours})
	}
	for decoder.More() {
		name, _ := decoder.Token()
		var value any
		check(decoder.Decode(&value))
		if name != "req" && name != "res" {
			continue
		}
		text, ok := value.(string)
		if _, twice := found[name.(string)]; twice || !ok {
			panic(fault{"encoding", ours})
		}
		found[name.(string)] = text
	}
	req, hasReq := found["req"]
	res, hasRes := found["res"]
	if !hasReq || !hasRes {
		panic(fault{"encoding", ours})
	}
	return req, res
}

func key(state *noise.CipherState) string {
	k := state.UnsafeKey()
	return hex.EncodeToString(k[:])
}

// handshake runs both sides of a two-message pattern with any prologue and payloads.
func handshake(a args) object {
	initiator, responder := config(a, true, "e_i"), config(a, false, "e_r")
	var messages []string
	var i2r, r2i *noise.CipherState
	for index, payload := range a.object["payloads"].([]any) {
		plain, err := hex.DecodeString(payload.(string))
		check(err)
		from, to := initiator, responder
		if index%2 == 1 {
			from, to = responder, initiator
		}
		message, _, _, err := from.WriteMessage(nil, plain)
		check(err)
		got, first, second, err := to.ReadMessage(nil, message)
		check(err)
		if !bytes.Equal(got, plain) {
			panic(fault{"auth", byNoise})
		}
		messages = append(messages, hex.EncodeToString(message))
		i2r, r2i = first, second
	}
	return object{
		"messages": messages, "hash": hex.EncodeToString(initiator.ChannelBinding()),
		"i2r": key(i2r), "r2i": key(r2i), "by": byNoise,
	}
}

func chunkState(a args) *noise.CipherState {
	return noise.UnsafeNewCipherState(suite, a.array("key"), a.number("n"))
}

func chunkSeal(a args) object {
	plain := a.bytes("plain")
	if uint64(len(plain))+20 > a.number("limit") {
		panic(fault{"limit", ours})
	}
	sealed, err := chunkState(a).Encrypt(nil, nil, plain)
	check(err)
	wire := binary.BigEndian.AppendUint32(nil, uint32(len(sealed)))
	return object{"wire": hex.EncodeToString(append(wire, sealed...)), "by": byNoise}
}

func chunkOpen(a args) object {
	wire := a.bytes("wire")
	if len(wire) < 4 {
		panic(fault{"truncated", ours})
	}
	length := uint64(binary.BigEndian.Uint32(wire))
	wire = wire[4:]
	switch {
	case length+4 > a.number("limit"):
		panic(fault{"limit", ours})
	case length < 16:
		panic(fault{"length", ours})
	case length > uint64(len(wire)):
		panic(fault{"truncated", ours})
	}
	plain, err := chunkState(a).Decrypt(nil, nil, wire[:length])
	check(err)
	return object{"plain": hex.EncodeToString(plain), "rest": hex.EncodeToString(wire[length:]), "by": byNoise}
}
