package main

import (
	"context"
	"strconv"
	"time"

	"postern/gateway/bench"
)

func benchCommand() command {
	return command{
		name:  "bench",
		short: "measure sealing and opening on this machine",
		help: `usage: postern bench [--size OCTETS]... [--rounds N] [--peers] [--json]

Seals and opens messages with throw-away RSA-2048 keys and prints the processor time of each, beside the
primitives (RSA, SHA-256, AES-256-CBC, base64) the same message cannot avoid. No gateway is touched.

  --size OCTETS  size of a message, 1024 to 1073741824; default 4 KB, 30 KB, 1 MB and 25 MB
  --rounds N     rounds to take the median of, at most 1000; default 9
  --peers        also OpenSSL's command line on the largest message, where it is installed
  --json         one JSON object

Exit codes: 0 measured, 1 failed, 2 used wrongly.

Example: postern bench --size 30720 --rounds 21
`,
		run: runBench,
	}
}

func runBench(ctx context.Context, c *console, args []string) error {
	fs := c.flags("bench")
	var sizes listFlag
	fs.Var(&sizes, "size", "")
	rounds := fs.Int("rounds", 9, "")
	peers := fs.Bool("peers", false, "")
	asJSON := fs.Bool("json", false, "")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	o := bench.Options{Rounds: *rounds, Peers: *peers, Now: time.Now()}
	if len(rest) > 0 || o.Rounds < 1 || o.Rounds > bench.MaxRounds {
		return usagef("no operands; --rounds is 1 to %d", bench.MaxRounds)
	}
	for _, s := range sizes {
		n, err := strconv.Atoi(s)
		if err != nil || n < bench.MinSize || n > bench.MaxSize {
			return usagef("--size %q: octets from %d to %d", s, bench.MinSize, bench.MaxSize)
		}
		o.Sizes = append(o.Sizes, n)
	}
	r, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if *asJSON {
		return c.printJSON(r)
	}
	return r.WriteText(c.out)
}
