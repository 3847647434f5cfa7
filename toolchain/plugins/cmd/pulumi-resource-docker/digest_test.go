package main

import "testing"

func TestOnlyAnAddedDigestIsIgnored(t *testing.T) {
	for _, one := range []struct {
		wanted, now string
		adds        bool
	}{
		{"web:1", "web:1@sha256:ab", true},
		{"web", "web:latest@sha256:ab", true},
		{"web:1", "web:1", false},
		{"web:1", "web:2@sha256:ab", false},
		{"web:1@sha256:ab", "web:1@sha256:cd", false},
		{"", "web:1@sha256:ab", false},
	} {
		if got := addsDigest(one.wanted, one.now); got != one.adds {
			t.Errorf("addsDigest(%q, %q) = %t", one.wanted, one.now, got)
		}
	}
}
