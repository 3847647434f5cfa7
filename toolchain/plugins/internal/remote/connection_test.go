package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func newKey(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// listen serves on loopback and counts how often it is dialled.
func listen(t *testing.T, serve func(net.Conn)) (connection *Connection, dials func() int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	seen := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			seen <- struct{}{}
			go serve(conn)
		}
	}()
	port, limit, seconds, agent := float64(listener.Addr().(*net.TCPAddr).Port), 1, 1, ""
	connection = &Connection{endpoint: endpoint{
		Host: "127.0.0.1", Port: &port, DialErrorLimit: &limit, PerDialTimeout: &seconds, AgentSocketPath: &agent,
	}}
	return connection, func() int { return len(seen) }
}

func sshServer(key ssh.Signer) func(net.Conn) {
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(key)
	return func(conn net.Conn) { _, _, _, _ = ssh.NewServerConn(conn, config) }
}

func TestAnotherHostKeyIsFinalAndNamed(t *testing.T) {
	real, expected := newKey(t), newKey(t)
	connection, dials := listen(t, sshServer(real))
	line := string(ssh.MarshalAuthorizedKey(expected.PublicKey()))
	connection.HostKey = &line
	_, err := connection.Dial(context.Background())
	var stranger *HostKeyError
	if !errors.As(err, &stranger) {
		t.Fatal("want a HostKeyError, got", err)
	}
	if !strings.Contains(err.Error(), "offered ssh-ed25519 "+ssh.FingerprintSHA256(real.PublicKey())) {
		t.Error("the error does not name the offered key:", err)
	}
	if dials() != 1 {
		t.Error("a wrong host was dialled again:", dials())
	}
}

func TestTheExpectedHostKeyIsAccepted(t *testing.T) {
	real := newKey(t)
	connection, _ := listen(t, sshServer(real))
	line := string(ssh.MarshalAuthorizedKey(real.PublicKey()))
	connection.HostKey = &line
	client, err := connection.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}

func TestASilentHostIsGivenUpInTime(t *testing.T) {
	connection, dials := listen(t, func(net.Conn) {}) // accepts, says nothing
	begun := time.Now()
	_, err := connection.Dial(context.Background())
	if err == nil || dials() != 2 {
		t.Errorf("want an error after 1 + dialErrorLimit dials, got %v after %d", err, dials())
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Error("took", took)
	}
}
