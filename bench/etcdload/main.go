// etcdload drives an etcd cluster with etcd's own Go client, so that a comparison is fair to it.
//
//	etcdload --endpoints http://127.0.0.1:2379 --mode put --concurrency 256 --seconds 10
//	etcdload --endpoints ... --mode open --rate 5000 --seconds 10
//
// "put" and "get" (linearizable) are closed loops. "open" offers puts at a fixed rate, whatever becomes of
// those before; latency counts from the time at which a put was due, and a put that the client reports as
// failed is tried again for 10 s: bench/kv/failover.ts treats the other store the same way. It prints
// "started" when the seconds that count begin. The last line is JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/grpclog"
)

const (
	dialTimeout   = 5 * time.Second
	callTimeout   = 10 * time.Second
	retryPause    = 10 * time.Millisecond
	scheduleEvery = time.Millisecond
)

type options struct {
	endpoints                                                         []string
	mode                                                              string
	connections, concurrency, keys, valueBytes, seconds, rate, warmUp int
}

type load struct {
	options
	clients []*clientv3.Client
	value   string
}

func main() {
	o := parse()
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	l := load{options: o, value: strings.Repeat("v", o.valueBytes)}
	for range o.connections {
		// Failed attempts are counted, not told one by one.
		client, err := clientv3.New(clientv3.Config{
			Endpoints: o.endpoints, DialTimeout: dialTimeout, Logger: zap.NewNop(),
		})
		exitOn(err)
		defer client.Close()
		l.clients = append(l.clients, client)
	}
	var report map[string]any
	switch o.mode {
	case "put":
		report = l.closedLoop(l.put)
	case "get":
		report = l.closedLoop(l.get)
	case "open":
		report = l.openLoop()
	default:
		exitOn(fmt.Errorf("mode %q: put, get or open", o.mode))
	}
	report["mode"] = o.mode
	exitOn(json.NewEncoder(os.Stdout).Encode(report))
}

func parse() options {
	var o options
	endpoints := flag.String("endpoints", "http://127.0.0.1:2379", "client addresses, with commas between")
	flag.StringVar(&o.mode, "mode", "put", "put, get (linearizable) or open (puts at a fixed rate)")
	flag.IntVar(&o.connections, "connections", 8, "client connections")
	flag.IntVar(&o.concurrency, "concurrency", 256, "requests in flight (put, get)")
	flag.IntVar(&o.rate, "rate", 1000, "puts a second (open)")
	flag.IntVar(&o.keys, "keys", 100000, "distinct keys")
	flag.IntVar(&o.valueBytes, "value-bytes", 256, "size of a value")
	flag.IntVar(&o.seconds, "seconds", 10, "seconds that count")
	flag.IntVar(&o.warmUp, "warm-up", 2, "seconds before them")
	flag.Parse()
	o.endpoints = strings.Split(*endpoints, ",")
	return o
}

func (l *load) put(ctx context.Context, client *clientv3.Client, key string) error {
	_, err := client.Put(ctx, key, l.value)
	return err
}

func (l *load) get(ctx context.Context, client *clientv3.Client, key string) error {
	_, err := client.Get(ctx, key)
	return err
}

func (l *load) anyKey() string { return fmt.Sprintf("key-%09d", rand.IntN(l.keys)) }

// closedLoop keeps `concurrency` operations in flight.
func (l *load) closedLoop(operate func(context.Context, *clientv3.Client, string) error) map[string]any {
	start := time.Now().Add(time.Duration(l.warmUp) * time.Second)
	end := start.Add(time.Duration(l.seconds) * time.Second)
	latencies, failures := make([][]time.Duration, l.concurrency), make([]int, l.concurrency)
	var workers sync.WaitGroup
	for w := range l.concurrency {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for begun := time.Now(); begun.Before(end); begun = time.Now() {
				ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
				err := operate(ctx, l.clients[w%len(l.clients)], l.anyKey())
				cancel()
				switch {
				case begun.Before(start):
				case err != nil:
					failures[w]++
				default:
					latencies[w] = append(latencies[w], time.Since(begun))
				}
			}
		}()
	}
	workers.Wait()
	failed := 0
	for _, n := range failures {
		failed += n
	}
	report := summary(slices.Concat(latencies...))
	report["concurrency"], report["failed"] = l.concurrency, failed
	report["perSecond"] = float64(report["operations"].(int)) / float64(l.seconds)
	return report
}

// openLoop starts a put whenever one is due; at most callTimeout of them are in flight.
func (l *load) openLoop() map[string]any {
	var lock sync.Mutex
	var latencies []time.Duration
	var failed, attempts atomic.Int64
	var running sync.WaitGroup
	begun := time.Now()
	from := begun.Add(time.Duration(l.warmUp) * time.Second)
	end := from.Add(time.Duration(l.seconds) * time.Second)
	one := func(number int, due time.Time) {
		defer running.Done()
		tries, err := l.putUntilDone(l.clients[number%len(l.clients)], due)
		if due.Before(from) {
			return
		}
		attempts.Add(int64(tries - 1))
		if err != nil {
			failed.Add(1)
			return
		}
		lock.Lock()
		latencies = append(latencies, time.Since(due))
		lock.Unlock()
	}
	told := false
	for number := 0; ; {
		now := time.Now()
		if !told && now.After(from) {
			told = true
			fmt.Println("started")
		}
		for due := l.dueAt(begun, number); due.Before(now) && due.Before(end); due = l.dueAt(begun, number) {
			running.Add(1)
			go one(number, due)
			number++
		}
		if now.After(end) {
			break
		}
		time.Sleep(scheduleEvery)
	}
	running.Wait()
	report := summary(latencies)
	report["rate"], report["failed"], report["retried"] = l.rate, failed.Load(), attempts.Load()
	return report
}

func (l *load) dueAt(begun time.Time, number int) time.Time {
	return begun.Add(time.Duration(number) * time.Second / time.Duration(l.rate))
}

// putUntilDone tells how many attempts it took.
func (l *load) putUntilDone(client *clientv3.Client, due time.Time) (int, error) {
	ctx, cancel := context.WithDeadline(context.Background(), due.Add(callTimeout))
	defer cancel()
	key := l.anyKey()
	for tries := 1; ; tries++ {
		err := l.put(ctx, client, key)
		if err == nil || ctx.Err() != nil {
			return tries, err
		}
		time.Sleep(retryPause)
	}
}

func summary(latencies []time.Duration) map[string]any {
	slices.Sort(latencies)
	at := func(share float64) float64 {
		if len(latencies) == 0 {
			return 0
		}
		index := min(int(share*float64(len(latencies))), len(latencies)-1)
		return float64(latencies[index].Microseconds()) / 1000
	}
	return map[string]any{
		"operations": len(latencies), "p50Ms": at(.5), "p99Ms": at(.99), "p999Ms": at(.999),
		"p9999Ms": at(.9999), "maxMs": at(1),
	}
}

func exitOn(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "etcdload:", err)
	os.Exit(1)
}
