package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed docs/*.md docs/*.service
var docs embed.FS

func helpCommand() command {
	return command{"help", "explain a topic or a command", `Usage: postern help [TOPIC | COMMAND]

Exit codes: 0 printed, 2 no such topic.
Example: postern help config
`, runHelp}
}

func runHelp(_ context.Context, c *console, args []string) error {
	if cmd, _, ok := find(args); ok && cmd.name == strings.Join(args, " ") {
		fmt.Fprint(c.out, cmd.help)
		return nil
	}
	all, err := topics()
	if err != nil {
		return err
	}
	if len(args) == 1 {
		if file, ok := all[args[0]]; ok {
			b, err := docs.ReadFile(file)
			if err != nil {
				return err
			}
			_, err = c.out.Write(b)
			return err
		}
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	return usagef("no topic or command %q; topics are %s", strings.Join(args, " "), strings.Join(slices.Sorted(slices.Values(names)), ", "))
}

// topics maps each topic to its file: docs/config.md is "config".
func topics() (map[string]string, error) {
	files, err := fs.ReadDir(docs, "docs")
	out := map[string]string{}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), path.Ext(f.Name()))
		if path.Ext(f.Name()) == ".service" {
			name = "systemd"
		}
		out[name] = "docs/" + f.Name()
	}
	return out, err
}
