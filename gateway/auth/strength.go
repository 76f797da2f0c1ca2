package auth

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MinPassword is the shortest password a person may choose, in characters (NIST SP 800-63B-4 §3.1.1.2 asks for
// length and no composition rules).
const MinPassword = 12

// minDifferent is how many different characters it must have.
const minDifferent = 5

// CheckNew says why a person may not choose a password: too short or long, too few different characters, or
// nothing but one of the words about them, or a keyboard row, with something added.
func CheckNew(password string, about ...string) error {
	n := utf8.RuneCountInString(password)
	switch {
	case n < MinPassword:
		return fmt.Errorf("auth: a password has at least %d characters", MinPassword)
	case len(password) > MaxPassword:
		return fmt.Errorf("auth: a password has at most %d octets", MaxPassword)
	}
	different := map[rune]bool{}
	for _, r := range password {
		different[r] = true
	}
	if len(different) < minDifferent {
		return fmt.Errorf("auth: a password has at least %d different characters", minDifferent)
	}
	left := strings.ToLower(password)
	for _, a := range about {
		for _, w := range strings.Fields(strings.ToLower(a)) {
			if len(w) >= 3 {
				left = strings.ReplaceAll(left, w, "")
			}
		}
	}
	for _, w := range common() {
		left = strings.ReplaceAll(left, w, "")
	}
	if utf8.RuneCountInString(strings.Trim(left, "0123456789!?.-_ ")) < 4 {
		return fmt.Errorf("auth: that password is too easily guessed")
	}
	return nil
}

// common are the words guessed first.
func common() []string {
	return []string{"password", "passwort", "passw0rd", "letmein", "welcome", "changeme", "qwertyuiop", "qwerty", "asdfghjkl", "asdf", "zxcvbnm", "iloveyou",
		"administrator", "admin", "monkey", "dragon", "secret", "clinic", "hospital", "doctor", "nurse", "postern", "summer", "winter", "spring", "autumn", "abcdefgh", "abc"}
}
