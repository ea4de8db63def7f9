package main

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/atsika/aznet"
)

// report is one line of output. Fields that do not apply stay away.
type report struct {
	Event    string    `json:"event"`
	URL      string    `json:"url,omitempty"`
	Number   int       `json:"number,omitempty"`
	Mode     string    `json:"mode,omitempty"`
	Seconds  float64   `json:"seconds,omitempty"`
	Received int64     `json:"received"`
	Sent     int64     `json:"sent"`
	SHA256   string    `json:"sha256,omitempty"`
	Times    []float64 `json:"times,omitempty"`
	Peak     int64     `json:"peak_kib,omitempty"`
	Error    string    `json:"error,omitempty"`
	Counted  *counted  `json:"counted,omitempty"`
}

// counted is what aznet itself counts of its transactions.
type counted struct {
	Writes  int64 `json:"writes"`
	Reads   int64 `json:"reads"`
	Lists   int64 `json:"lists"`
	Deletes int64 `json:"deletes"`
}

var output sync.Mutex

func (r report) print() {
	r.Peak = peakKiB()
	line, err := json.Marshal(r)
	if err != nil {
		line = []byte(`{"event":"failed","error":"report"}`)
	}
	output.Lock()
	defer output.Unlock()
	_, _ = os.Stdout.Write(append(line, '\n'))
}

func countedOf(c net.Conn) *counted {
	m := aznet.GetMetrics(c)
	if m == nil {
		return nil
	}
	return &counted{
		Writes:  m.GetWriteTransactionCount(),
		Reads:   m.GetReadTransactionCount(),
		Lists:   m.GetListTransactionCount(),
		Deletes: m.GetDeleteTransactionCount(),
	}
}

// peakKiB is VmHWM, the most memory the process had resident; 0 where there is no /proc.
func peakKiB() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, found := strings.CutPrefix(lines.Text(), "VmHWM:")
		if found {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n
		}
	}
	return 0
}

func since(start time.Time) float64 { return time.Since(start).Seconds() }
