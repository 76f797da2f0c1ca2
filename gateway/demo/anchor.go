package demo

import (
	"encoding/pem"
	"fmt"
	"os"
)

// readAnchor reads the one certificate of a PEM file.
func readAnchor(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("demo: %s holds no certificate", path)
	}
	return block.Bytes, nil
}
