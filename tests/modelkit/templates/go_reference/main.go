// Renders templates with Go's own text/template: JSON lines {template, data} in,
// {output} or {error: stage, message} out. Options and functions are those Ollama sets.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"text/template"
	"time"
)

type request struct {
	Template string
	Data     any
}

var functions = template.FuncMap{
	"json":             func(v any) string { b, _ := json.Marshal(v); return string(b) },
	"currentDate":      func(...string) string { return day(0) },
	"yesterdayDate":    func(...string) string { return day(-1) },
	"toTypeScriptType": func(any) string { return "any" },
}

func day(offset int) string { return time.Now().AddDate(0, 0, offset).Format("2006-01-02") }

// plain turns json.Number into int or float64, as the tests' Python data has them.
func plain(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, item := range value {
			value[key] = plain(item)
		}
	case []any:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = plain(item)
		}
		return items
	case json.Number:
		if strings.ContainsAny(string(value), ".eE") {
			number, _ := value.Float64()
			return number
		}
		number, _ := value.Int64()
		return int(number)
	}
	return value
}

func render(r request) map[string]string {
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(r.Template)
	if err != nil {
		return map[string]string{"error": "parse", "message": err.Error()}
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, plain(r.Data)); err != nil {
		return map[string]string{"error": "execute", "message": err.Error()}
	}
	return map[string]string{"output": out.String()}
}

func main() {
	lines, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for decoder := json.NewDecoder(lines); ; {
		decoder.UseNumber()
		var r request
		if decoder.Decode(&r) != nil {
			return
		}
		answer := make(chan map[string]string, 1)
		go func() { answer <- render(r) }()
		select {
		case result := <-answer:
			out.Encode(result)
		case <-time.After(2 * time.Second):
			out.Encode(map[string]string{"error": "timeout"})
		}
	}
}
