// Sends the files of FOLDER as OTLP/gRPC messages in turn, over and over, for SECS seconds, and
// prints how many were acknowledged and how many were not. What wrk is for HTTP.
//
// With "gzip" the files are gzip already, and are sent as such: compressing costs the load nothing.
//
//	load ADDRESS METHOD FOLDER SECS CONNECTIONS [gzip]
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

func insist(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Messages are bytes, in both directions: nothing is encoded here.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

// Bytes that are compressed already.
type compressed struct{}

type asItIs struct{ io.Writer }

func (asItIs) Close() error { return nil }

func (compressed) Name() string { return "gzip" }

func (compressed) Compress(to io.Writer) (io.WriteCloser, error) { return asItIs{to}, nil }

func (compressed) Decompress(from io.Reader) (io.Reader, error) { return from, nil }

func main() {
	address, method, folder := os.Args[1], os.Args[2], os.Args[3]
	secs, err := strconv.Atoi(os.Args[4])
	insist(err)
	connections, err := strconv.Atoi(os.Args[5])
	insist(err)
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	insist(err)
	var bodies [][]byte
	for _, name := range names {
		body, err := os.ReadFile(name)
		insist(err)
		bodies = append(bodies, body)
	}

	calls := []grpc.CallOption{grpc.ForceCodecV2(raw{})}
	if len(os.Args) > 6 {
		encoding.RegisterCompressor(compressed{})
		calls = append(calls, grpc.UseCompressor(os.Args[6]))
	}

	var next, acknowledged, refused atomic.Int64
	end := time.Now().Add(time.Duration(secs) * time.Second)
	var all sync.WaitGroup
	for range connections {
		connection, err := grpc.NewClient(
			"passthrough:///"+address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(calls...),
		)
		insist(err)
		all.Go(func() {
			defer connection.Close()
			for time.Now().Before(end) {
				body := bodies[int(next.Add(1)-1)%len(bodies)]
				var answer []byte
				err := connection.Invoke(context.Background(), method, body, &answer)
				if err == nil && len(answer) == 0 {
					acknowledged.Add(1)
				} else {
					refused.Add(1)
					fmt.Fprintln(os.Stderr, err)
				}
			}
		})
	}
	all.Wait()
	fmt.Println(acknowledged.Load(), refused.Load())
}
