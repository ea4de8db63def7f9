package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

const byUUID = "google/uuid 1.6.0"

// canonical refuses every id that google/uuid would not print itself as a version 4 id.
func canonical(id string) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.String() != id || parsed.Version() != 4 || parsed.Variant() != uuid.RFC4122 {
		panic(fault{"name", byUUID})
	}
}

func idCheck(a args) object {
	canonical(a.text("id"))
	return object{"by": byUUID}
}

func queueEncode(a args) object {
	message := binary.BigEndian.AppendUint64(nil, a.number("seq"))
	text := base64.StdEncoding.EncodeToString(append(message, a.bytes("chunk")...))
	return object{"text": text, "by": goVersion()}
}

func queueDecode(a args) object {
	text := a.text("text")
	message, err := base64.StdEncoding.Strict().DecodeString(text)
	switch {
	case err != nil:
		panic(fault{"encoding", goVersion()})
	case strings.ContainsAny(text, "\r\n"): // Go reads over line breaks
		panic(fault{"encoding", ours})
	case len(message) < 8:
		panic(fault{"truncated", ours})
	}
	return object{
		"seq": number(binary.BigEndian.Uint64(message)), "chunk": hex.EncodeToString(message[8:]),
		"by": goVersion(),
	}
}

var drivers = map[string]string{"blob": "azblob", "queue": "azqueue", "table": "aztable"}

func urlParse(a args) object {
	parsed, err := url.Parse(a.text("url"))
	if err != nil || parsed.Host == "" {
		panic(fault{"encoding", goVersion()})
	}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		panic(fault{"encoding", goVersion()})
	}
	reply := object{"by": goVersion()}
	for _, name := range []string{"handshake", "token"} {
		if len(query[name]) != 1 || query[name][0] == "" {
			panic(fault{"encoding", ours})
		}
		sas, err := base64.URLEncoding.Strict().DecodeString(query[name][0])
		if err != nil {
			panic(fault{"encoding", goVersion()})
		}
		reply[name] = string(sas)
	}
	if account, rest, ok := strings.Cut(parsed.Hostname(), "."); ok && account != "" {
		if service, host, _ := strings.Cut(rest, "."); host == "core.windows.net" && drivers[service] != "" {
			reply["driver"] = drivers[service]
		}
	}
	reply["endpoint"] = parsed.Scheme + "://" + parsed.Host + strings.TrimRight(parsed.Path, "/")
	return reply
}
