// Many certificates through the Go library acmez, with one account; the same flags, files and line of JSON as
// bench/many/bench_many.cpp. Polls every 5 ms where the CA names no time: acmez's own 250 ms would measure the wait.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

var (
	server     = flag.String("server", "", "directory URL")
	root       = flag.String("root", "", "PEM file of a root to trust beside the system's")
	httpPort   = flag.Int("http-port", 0, "where to answer http-01")
	count      = flag.Int("count", 1, "certificates; 0 only registers")
	inFlight   = flag.Int("in-flight", 1, "certificates at the same time")
	names      = flag.Int("names", 1, "names a certificate")
	accountKey = flag.String("account-key", "", "PEM file of the account's key; its URL stands beside")
)

func main() {
	start := time.Now()
	flag.Parse()
	issued, failed, err := run(context.Background(), start)
	if err != nil {
		fmt.Fprintln(os.Stderr, "acmez:", err)
		os.Exit(1)
	}
	wall := time.Since(start).Seconds()
	var cost syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &cost)
	fmt.Printf("{\"certificates\":%d,\"failed\":%d,\"wall\":%.6f,\"cpu\":%.6f,\"memory_kib\":%d}\n",
		issued, failed, wall, seconds(cost.Utime)+seconds(cost.Stime), cost.Maxrss)
	if failed > 0 {
		os.Exit(1)
	}
}

func run(ctx context.Context, start time.Time) (issued, failed int64, err error) {
	transport, err := newTransport()
	if err != nil {
		return 0, 0, err
	}
	solver := &responder{}
	client := acmez.Client{
		Client: &acme.Client{
			Directory:    *server,
			HTTPClient:   &http.Client{Transport: transport},
			PollInterval: 5 * time.Millisecond,
		},
		ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeHTTP01: solver},
	}
	account, err := accountFor(ctx, &client)
	if err != nil || *count == 0 {
		return 0, 0, err
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *httpPort))
	if err != nil {
		return 0, 0, err
	}
	go http.Serve(listener, solver)

	var next atomic.Int64
	var workers sync.WaitGroup
	for i := 0; i < *inFlight; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for n := next.Add(1) - 1; n < int64(*count); n = next.Add(1) - 1 {
				if err := issue(ctx, &client, account, namesOf(n, start)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					atomic.AddInt64(&failed, 1)
				} else {
					atomic.AddInt64(&issued, 1)
				}
			}
		}()
	}
	workers.Wait()
	return issued, failed, nil
}

// newTransport trusts the system's roots and the one given, as culmen's extra_root_file does.
func newTransport() (*http.Transport, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	extra, err := os.ReadFile(*root)
	if err != nil {
		return nil, err
	}
	roots.AppendCertsFromPEM(extra)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	// Go keeps two idle connections to a host; more workers than that would open a connection a request where the
	// server speaks no HTTP/2.
	transport.MaxIdleConnsPerHost = *inFlight
	return transport, nil
}

func accountFor(ctx context.Context, client *acmez.Client) (acme.Account, error) {
	urlFile := *accountKey + ".account-url"
	if *accountKey != "" {
		if url, err := os.ReadFile(urlFile); err == nil {
			key, err := readKey()
			return acme.Account{Status: acme.StatusValid, Location: string(url), PrivateKey: key}, err
		} else if !errors.Is(err, os.ErrNotExist) {
			return acme.Account{}, err
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, err
	}
	account, err := client.NewAccount(ctx, acme.Account{
		Contact:              []string{"mailto:bench@example.test"},
		TermsOfServiceAgreed: true,
		PrivateKey:           key,
	})
	if err != nil || *accountKey == "" {
		return account, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return account, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return account, errors.Join(os.WriteFile(*accountKey, text, 0600), os.WriteFile(urlFile, []byte(account.Location), 0644))
}

func readKey() (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(*accountKey)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", *accountKey)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds another kind of key", *accountKey)
	}
	return ec, nil
}

func issue(ctx context.Context, client *acmez.Client, account acme.Account, names []string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	_, err = client.ObtainCertificateForSANs(ctx, account, key, names)
	return err
}

// namesOf gives names that no other run of this program asks for: Pebble may reuse an authorization.
func namesOf(certificate int64, start time.Time) []string {
	list := make([]string, *names)
	for j := range list {
		list[j] = fmt.Sprintf("n%d-%d.r%d.test", certificate, j, start.UnixNano())
	}
	return list
}

// responder answers http-01.
type responder struct{ answers sync.Map }

func (r *responder) Present(_ context.Context, challenge acme.Challenge) error {
	r.answers.Store(challenge.HTTP01ResourcePath(), challenge.KeyAuthorization)
	return nil
}

func (r *responder) CleanUp(_ context.Context, challenge acme.Challenge) error {
	r.answers.Delete(challenge.HTTP01ResourcePath())
	return nil
}

func (r *responder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	answer, known := r.answers.Load(request.URL.Path)
	if !known {
		http.NotFound(w, request)
		return
	}
	fmt.Fprint(w, answer)
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
