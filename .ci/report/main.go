// Command report reads the output of `go test -json`, prints failures, the slowest packages and the
// number of skipped tests, and fails when a test failed or was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	f, err := os.Open(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	defer f.Close()
	output := map[string]string{}
	slow := map[string]float64{}
	passed, failed, skipped := 0, 0, 0
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var e event
		if json.Unmarshal(s.Bytes(), &e) != nil {
			fmt.Println(s.Text()) // a build error
			continue
		}
		name := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[name] += e.Output
		case "pass":
			if e.Test == "" {
				slow[e.Package] = e.Elapsed
			} else {
				passed++
			}
			delete(output, name)
		case "skip":
			if e.Test != "" {
				skipped++
				fmt.Printf("SKIPPED %s\n%s", name, output[name])
			}
		case "fail":
			failed++
			fmt.Printf("FAILED %s\n%s", name, output[name])
		}
	}
	if failed > 0 {
		for name, text := range output {
			if len(name) > 0 && name[len(name)-1] == ' ' { // a package's own output: panics, build errors
				fmt.Print(text)
			}
		}
	}
	var packages []string
	for p := range slow {
		packages = append(packages, p)
	}
	sort.Slice(packages, func(i, j int) bool { return slow[packages[i]] > slow[packages[j]] })
	for _, p := range packages[:min(8, len(packages))] {
		fmt.Printf("%6.1fs %s\n", slow[p], p)
	}
	fmt.Printf("skipped tests: %d\n%d passed, %d failed, %d skipped\n", skipped, passed, failed, skipped)
	if failed > 0 || skipped > 0 || passed == 0 {
		os.Exit(1)
	}
}
