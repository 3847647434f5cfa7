package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	defaultUser       = "root"
	defaultPort       = 22
	defaultErrorLimit = 10 // failed dials that are tried again; -1 tries for ever
	defaultTimeout    = 15 // seconds for one dial; 0 for no limit
	firstPause        = 100 * time.Millisecond
	longestPause      = 5 * time.Second
)

// Connection says how to reach a host over SSH, through a proxy where there is one.
type Connection struct {
	endpoint
	Proxy *ProxyConnection `pulumi:"proxy,optional"`
}

// ProxyConnection says how to reach the host in between.
type ProxyConnection struct{ endpoint }

type endpoint struct {
	Host               string   `pulumi:"host"`
	Port               *float64 `pulumi:"port,optional"`
	User               *string  `pulumi:"user,optional"`
	Password           *string  `pulumi:"password,optional"           provider:"secret"`
	PrivateKey         *string  `pulumi:"privateKey,optional"         provider:"secret"`
	PrivateKeyPassword *string  `pulumi:"privateKeyPassword,optional" provider:"secret"`
	AgentSocketPath    *string  `pulumi:"agentSocketPath,optional"`
	DialErrorLimit     *int     `pulumi:"dialErrorLimit,optional"`
	PerDialTimeout     *int     `pulumi:"perDialTimeout,optional"`
	HostKey            *string  `pulumi:"hostKey,optional"`
}

// Annotate describes the connection in the schema.
func (c *Connection) Annotate(a infer.Annotator) {
	c.endpoint.annotate(a)
	a.Describe(&c.Proxy, "The host to go through.")
}

// Annotate describes the connection in the schema.
func (c *ProxyConnection) Annotate(a infer.Annotator) { c.endpoint.annotate(a) }

func (e *endpoint) annotate(a infer.Annotator) {
	a.Describe(&e.Host, "The address of the host.")
	a.SetDefault(&e.Port, defaultPort)
	a.SetDefault(&e.User, defaultUser)
	a.Describe(&e.PrivateKey, "An SSH key. It is tried before the password.")
	a.Describe(&e.AgentSocketPath, "The socket of an SSH agent. SSH_AUTH_SOCK unless set.")
	a.Describe(&e.DialErrorLimit, "Failed dials that are tried again, -1 for any number.")
	a.SetDefault(&e.DialErrorLimit, defaultErrorLimit)
	a.Describe(&e.PerDialTimeout, "Seconds for one dial including the SSH handshake, 0 for no limit.")
	a.SetDefault(&e.PerDialTimeout, defaultTimeout)
	a.Describe(&e.HostKey, "The host's public key, as in an authorized_keys line. Without it any host is believed.")
}

// HostKeyError is a host that proved to be another one than expected. Trying again cannot help.
type HostKeyError struct {
	Address           string
	Expected, Offered ssh.PublicKey
}

func (e *HostKeyError) Error() string {
	return fmt.Sprintf("the host key of %s differs from hostKey: expected %s %s, was offered %s %s; "+
		"if this host was rebuilt on purpose, put its new key into hostKey, otherwise find out who answers there",
		e.Address, e.Expected.Type(), ssh.FingerprintSHA256(e.Expected), e.Offered.Type(), ssh.FingerprintSHA256(e.Offered))
}

// Dial opens the SSH connection, trying again as often as the connection allows.
func (c *Connection) Dial(ctx context.Context) (*ssh.Client, error) {
	if c.Proxy == nil {
		return c.dial(ctx, "host", (&net.Dialer{}).DialContext)
	}
	proxy, err := c.Proxy.dial(ctx, "proxy", (&net.Dialer{}).DialContext)
	if err != nil {
		return nil, err
	}
	client, err := c.dial(ctx, "host behind the proxy", proxy.DialContext)
	if err != nil {
		_ = proxy.Close()
		return nil, err
	}
	go func() { _ = client.Wait(); _ = proxy.Close() }()
	return client, nil
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

func (e *endpoint) dial(ctx context.Context, what string, dial dialFunc) (*ssh.Client, error) {
	address := net.JoinHostPort(e.Host, strconv.Itoa(int(value(e.Port, defaultPort))))
	limit := value(e.DialErrorLimit, defaultErrorLimit)
	pause := firstPause
	for failed := 1; ; failed++ {
		client, err := e.dialOnce(ctx, address, dial)
		if err == nil {
			return client, nil
		}
		var final *configError
		var stranger *HostKeyError
		if errors.As(err, &final) || errors.As(err, &stranger) || (limit >= 0 && failed > limit) || ctx.Err() != nil {
			return nil, fmt.Errorf("SSH to %s %s (attempt %d): %w", what, address, failed, err)
		}
		p.GetLogger(ctx).InfoStatusf("SSH to %s %s: attempt %d failed, trying again", what, address, failed)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(pause*3/2, longestPause)
	}
}

// dialOnce connects and shakes hands. The time limit covers both: a host that accepts and then
// says nothing would block ssh.Dial for ever.
func (e *endpoint) dialOnce(ctx context.Context, address string, dial dialFunc) (*ssh.Client, error) {
	var deadline time.Time
	if seconds := value(e.PerDialTimeout, defaultTimeout); seconds > 0 {
		deadline = time.Now().Add(time.Duration(seconds) * time.Second)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	config, closeAgent, err := e.clientConfig(address)
	if err != nil {
		return nil, &configError{err}
	}
	defer closeAgent()
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	// Not SetDeadline: a connection through a proxy has none. Closing works for both.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	sshConn, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return ssh.NewClient(sshConn, channels, requests), nil
}

// configError is a connection that cannot work, whatever the host does.
type configError struct{ error }

func (e *endpoint) clientConfig(address string) (config *ssh.ClientConfig, closeAgent func(), err error) {
	config = &ssh.ClientConfig{User: value(e.User, defaultUser), HostKeyCallback: ssh.InsecureIgnoreHostKey()}
	closeAgent = func() {}
	if e.HostKey != nil {
		expected, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*e.HostKey))
		if err != nil {
			return nil, nil, fmt.Errorf("hostKey is not a public key line (\"TYPE BASE64\"): %w", err)
		}
		config.HostKeyAlgorithms = preferring(expected.Type())
		config.HostKeyCallback = func(_ string, _ net.Addr, offered ssh.PublicKey) error {
			if string(offered.Marshal()) == string(expected.Marshal()) {
				return nil
			}
			return &HostKeyError{Address: address, Expected: expected, Offered: offered}
		}
	}
	if e.PrivateKey != nil {
		signer, err := e.signer()
		if err != nil {
			return nil, nil, fmt.Errorf("privateKey cannot be read: %w", err)
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if e.Password != nil {
		config.Auth = append(config.Auth, ssh.Password(*e.Password), ssh.KeyboardInteractive(e.answer))
	}
	socket := value(e.AgentSocketPath, os.Getenv("SSH_AUTH_SOCK"))
	if socket == "" {
		return config, closeAgent, nil
	}
	conn, err := net.Dial("unix", socket)
	switch {
	case err == nil:
		config.Auth = append(config.Auth, ssh.PublicKeysCallback(agent.NewClient(conn).Signers))
		closeAgent = func() { _ = conn.Close() }
	case e.AgentSocketPath != nil: // an agent from the environment may be gone, one that was asked for may not
		return nil, nil, fmt.Errorf("agentSocketPath: %w", err)
	}
	return config, closeAgent, nil
}

func (e *endpoint) signer() (ssh.Signer, error) {
	if e.PrivateKeyPassword != nil {
		return ssh.ParsePrivateKeyWithPassphrase([]byte(*e.PrivateKey), []byte(*e.PrivateKeyPassword))
	}
	return ssh.ParsePrivateKey([]byte(*e.PrivateKey))
}

func (e *endpoint) answer(_, _ string, questions []string, _ []bool) ([]string, error) {
	return slices.Repeat([]string{*e.Password}, len(questions)), nil
}

// preferring lists every host key algorithm, those of the expected key first: a host that has this key
// must show it, and one that has not shows what it has, for the error to name.
func preferring(keyType string) []string {
	first := []string{keyType}
	if keyType == ssh.KeyAlgoRSA {
		first = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	for _, algorithm := range ssh.SupportedAlgorithms().HostKeys {
		if !slices.Contains(first, algorithm) {
			first = append(first, algorithm)
		}
	}
	return first
}

func value[T any](pointer *T, otherwise T) T {
	if pointer == nil {
		return otherwise
	}
	return *pointer
}
