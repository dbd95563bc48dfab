package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"trihold/inmem/metrics"
)

// A metricsServer shows Prometheus what a node knows. Its zero value serves nothing.
type metricsServer struct {
	server *http.Server // nil if nothing is served
	ended  chan error   // gets why nothing is served any more, before it is closed
}

// serveMetrics serves the metrics of a member, and of this process, at an address.
// Without an address it serves nothing.
func serveMetrics(address string, m member) (*metricsServer, error) {
	if address == "" {
		return &metricsServer{}, nil
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("--metrics: %v: give an address that is free, such as 127.0.0.1:9101", err)}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.Collector{Status: m.ClusterStatus}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	s := &metricsServer{&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, make(chan error, 1)}
	go func() {
		if err := s.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.ended <- fmt.Errorf("serve metrics at %s: %w", address, err)
		}
	}()
	return s, nil
}

// close ends scrapes, after a moment for those under way.
func (s *metricsServer) close() error {
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) == nil {
		return nil
	}
	return s.server.Close()
}
