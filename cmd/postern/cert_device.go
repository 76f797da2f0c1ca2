package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"postern/certs/keyfile"
)

func certDeviceCommand() command {
	return command{"cert device", "use a certificate whose private key is in the PKCS#11 device", `Usage: postern cert device FILE... [-c FILE]

Each FILE (PEM or DER) holds a certificate that names a domain or address hosted here, and may hold those of its
authorities. Its private key is looked for in the device that [hsm] in postern.toml names, and stays there.
It needs a build with the tag pkcs11.

Exit codes: 0 in use, 1 refused, 2 used wrongly.
Example: postern cert device clinic.pem
`, runCertDevice}
}

func runCertDevice(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert device")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) == 0 {
		return orUsage(err, "give one file or more")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		for _, name := range rest {
			b, err := readFile(name, keyfile.MaxFile)
			if err != nil {
				return err
			}
			var ids []string
			if err := call(ctx, "cert.import_device", struct{}{}, bytes.NewReader(b), &ids, nil); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(c.out, "%s: %s\n", name, strings.Join(ids, " "))
		}
		return nil
	})
}
