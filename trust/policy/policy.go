// Package policy is a domain's own rules about certificates, beyond what trust itself demands (AS-66,
// TB-52): key usage, assurance level, validity length, algorithms, names. A policy is a few named
// rules; each is one expression in CEL over one certificate, and a certificate passes when every rule
// says true.
//
//	# lines beginning with # are remarks
//	assurance: "1.3.6.1.4.1.41179.1.3" in cert.policies
//	lifetime:  cert.validity_days <= 1190
//
// The variable cert has the fields of Certificate. The language is CEL (cel.dev/cel-go, Apache-2.0,
// Google's own; its only home is this package): typed, without loops that do not end and without
// access to anything but its variable, so that a rule written wrongly is refused when it is written.
//
// What it does not do: store, choose or apply policies. A policy can only refuse: it never makes a
// certificate trusted that trust refuses.
//
// Limits: a policy 16 KiB and 50 rules, a rule 2 KiB; an evaluation 100,000 steps by CEL's own count.
package policy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// Limits of one policy.
const (
	MaxOctets = 16 << 10
	MaxRules  = 50
	MaxRule   = 2 << 10
	maxCost   = 100_000
)

// ErrSyntax is the cause of every refusal to compile.
var ErrSyntax = errors.New("policy: not a policy")

// Rule is one named condition.
type Rule struct {
	Name    string
	Text    string // the expression
	Line    int    // in the policy's text, from 1
	program cel.Program
	blind   bool // asks nothing about the certificate
}

// Policy is compiled rules. It is not changed after it is made; goroutines may share it.
type Policy struct {
	Name  string
	Rules []Rule
}

// Compile reads a policy. Every error wraps ErrSyntax and names the line.
func Compile(name, text string) (*Policy, error) {
	if len(text) > MaxOctets {
		return nil, fmt.Errorf("%w: %s has %d octets, at most %d are read", ErrSyntax, name, len(text), MaxOctets)
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	p := &Policy{Name: name}
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := compileRule(env, line, i+1)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %s line %d: %v", ErrSyntax, name, i+1, err)
		case seen[r.Name]:
			return nil, fmt.Errorf("%w: %s line %d: a second rule %q", ErrSyntax, name, i+1, r.Name)
		case len(p.Rules) == MaxRules:
			return nil, fmt.Errorf("%w: %s line %d: more than %d rules", ErrSyntax, name, i+1, MaxRules)
		}
		seen[r.Name] = true
		p.Rules = append(p.Rules, r)
	}
	if len(p.Rules) == 0 {
		return nil, fmt.Errorf("%w: %s has no rule; one that lets everything pass says so: anything: true", ErrSyntax, name)
	}
	return p, nil
}

func environment() (*cel.Env, error) {
	return cel.NewEnv(
		ext.NativeTypes(celCertificate, ext.ParseStructTag("cel")),
		ext.Strings(),
		cel.Variable("cert", cel.ObjectType("policy.Certificate")),
	)
}

func compileRule(env *cel.Env, line string, number int) (Rule, error) {
	name, text, ok := strings.Cut(line, ":")
	name, text = strings.TrimSpace(name), strings.TrimSpace(text)
	if !ok || !isName(name) || text == "" {
		return Rule{}, errors.New("a rule is written name: expression")
	}
	if len(text) > MaxRule {
		return Rule{}, fmt.Errorf("the rule %s is longer than %d octets", name, MaxRule)
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return Rule{}, errors.New(strings.ReplaceAll(issues.Err().Error(), "\n", " "))
	}
	if ast.OutputType() != cel.BoolType {
		return Rule{}, fmt.Errorf("the rule %s is %s, not true or false", name, ast.OutputType())
	}
	program, err := env.Program(ast, cel.CostLimit(maxCost))
	return Rule{Name: name, Text: text, Line: number, program: program, blind: !mentions(ast)}, err
}

// mentions reports whether an expression asks anything about the certificate.
func mentions(ast *cel.Ast) bool {
	for _, ref := range ast.NativeRep().ReferenceMap() {
		if ref.Name == "cert" {
			return true
		}
	}
	return false
}

// Constants warns of rules that say the same of every certificate.
func (p *Policy) Constants() []string {
	out := []string{}
	for _, r := range p.Rules {
		if !r.blind {
			continue
		}
		answer := "refuses every certificate: it is never true"
		if out, _, err := r.program.Eval(map[string]any{"cert": Certificate{}}); err == nil && out == types.True {
			answer = "lets every certificate pass: it is always true"
		}
		out = append(out, fmt.Sprintf("rule %s (line %d) asks nothing about the certificate and %s", r.Name, r.Line, answer))
	}
	return out
}

// Holds is the names of the rules that say true of the first certificate of a chain.
func (p *Policy) Holds(chain []*x509.Certificate) []string {
	c := describe(chain)
	out := []string{}
	for _, r := range p.Rules {
		if v, _, err := r.program.Eval(map[string]any{"cert": c}); err == nil && v == types.True {
			out = append(out, r.Name)
		}
	}
	return out
}

func isName(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// Verdict is what a policy says of one certificate.
type Verdict struct {
	Pass   bool
	Rule   string // the first that refused
	Detail string
}

// Judge asks every rule in order about the first certificate of a chain that ends at an anchor; the
// first rule that does not say true refuses. A rule that cannot be worked out refuses too.
func (p *Policy) Judge(chain []*x509.Certificate) Verdict {
	c := describe(chain)
	for _, r := range p.Rules {
		out, _, err := r.program.Eval(map[string]any{"cert": c})
		if err != nil {
			return Verdict{Rule: r.Name, Detail: fmt.Sprintf("rule %s of policy %s (%s) could not be worked out: %v", r.Name, p.Name, r.Text, err)}
		}
		if out != types.True {
			return Verdict{Rule: r.Name, Detail: fmt.Sprintf("rule %s of policy %s does not hold: %s", r.Name, p.Name, r.Text)}
		}
	}
	return Verdict{Pass: true}
}
