// The oracle: nats-server's own configuration parser, asked over standard input.
//
// Without arguments it reads one JSON request per line and answers each with one line. `oracle bench FILE` times the
// parser on a file.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats-server/v2/conf"
)

type request struct {
	Text     []byte            `json:"text"`
	Env      map[string]string `json:"env"`
	Includes map[string][]byte `json:"includes"`
}

type answer struct {
	OK     bool   `json:"ok"`
	Values any    `json:"values,omitempty"`
	Error  string `json:"error,omitempty"`
	Panic  bool   `json:"panic,omitempty"`
	// The server itself parses in pedantic mode; this says that the two modes disagree.
	PedanticDiffers bool `json:"pedantic_differs,omitempty"`
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "bench" {
		bench(os.Args[2])
		return
	}
	os.Clearenv()
	empty, err := os.MkdirTemp("", "oracle")
	check(err)
	defer os.RemoveAll(empty)
	check(os.Chdir(empty))

	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := bufio.NewWriter(os.Stdout)
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked request
		check(json.Unmarshal(line, &asked))
		encoded, err := json.Marshal(reply(asked, empty))
		check(err)
		output.Write(encoded)
		output.WriteByte('\n')
		check(output.Flush())
	}
}

func reply(asked request, empty string) answer {
	for name, value := range asked.Env {
		os.Setenv(name, value)
		defer os.Unsetenv(name)
	}
	if len(asked.Includes) > 0 {
		dir, err := os.MkdirTemp("", "oracle")
		check(err)
		defer os.RemoveAll(dir)
		for path, text := range asked.Includes {
			path = filepath.Join(dir, path)
			check(os.MkdirAll(filepath.Dir(path), 0o755))
			check(os.WriteFile(path, text, 0o644))
		}
		check(os.Chdir(dir))
		defer os.Chdir(empty)
	}
	plain := parse(asked.Text, conf.Parse)
	pedantic := parse(asked.Text, conf.ParseWithChecks)
	if plain.OK != pedantic.OK {
		plain.PedanticDiffers = true
	} else if plain.OK {
		first, err := json.Marshal(plain.Values)
		check(err)
		second, err := json.Marshal(pedantic.Values)
		check(err)
		plain.PedanticDiffers = string(first) != string(second)
	}
	return plain
}

func parse(text []byte, parser func(string) (map[string]any, error)) (result answer) {
	defer func() {
		if failure := recover(); failure != nil {
			result = answer{Panic: true, Error: fmt.Sprint(failure)}
		}
	}()
	values, err := parser(string(text))
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{OK: true, Values: encode(values)}
}

// Integers stay integers; floats and moments are marked; keys that are no UTF-8 are shown in hexadecimal.
func encode(value any) any {
	switch value := value.(type) {
	case interface{ Value() any }:
		return encode(value.Value())
	case map[string]any:
		encoded := make(map[string]any, len(value))
		for key, inner := range value {
			if !utf8.ValidString(key) {
				key = "hex:" + hex.EncodeToString([]byte(key))
			}
			encoded[key] = encode(inner)
		}
		return encoded
	case []any:
		encoded := make([]any, 0, len(value))
		for _, inner := range value {
			encoded = append(encoded, encode(inner))
		}
		return encoded
	case float64:
		return map[string]string{"float": strconv.FormatFloat(value, 'g', -1, 64)}
	case time.Time:
		return map[string]string{"datetime": value.Format("2006-01-02T15:04:05Z")}
	default:
		return value
	}
}

func bench(path string) {
	text, err := os.ReadFile(path)
	check(err)
	var spent time.Duration
	rounds := 0
	for spent < 2*time.Second {
		start := time.Now()
		_, err := conf.Parse(string(text))
		spent += time.Since(start)
		check(err)
		rounds++
	}
	rate := float64(len(text)) * float64(rounds) / 1e6 / spent.Seconds()
	fmt.Printf("%.1f MB/s, %.3f ms each, %d bytes\n", rate, spent.Seconds()*1e3/float64(rounds), len(text))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
