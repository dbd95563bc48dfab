package result

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histograms hold nanoseconds, from 100 ns to 60 s with three digits.
const (
	lowest  = 100
	highest = int64(60 * time.Second)
	digits  = 3
)

// NewHistogram returns an empty histogram for latencies.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(lowest, highest, digits) }

// RecordLatency adds a latency. What lies outside of the range counts as its end.
func RecordLatency(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 0), highest)) // within the range it cannot fail
}

// NewOp returns what the histograms of the response and the service time say, and
// the histograms.
func NewOp(response, service *hdrhistogram.Histogram) (Op, error) {
	r, err := response.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return Op{}, fmt.Errorf("encode histogram: %w", err)
	}
	s, err := service.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return Op{}, fmt.Errorf("encode histogram: %w", err)
	}
	at := func(h *hdrhistogram.Histogram, p float64) time.Duration { return time.Duration(h.ValueAtPercentile(p)) }
	return Op{
		Count: response.TotalCount(), P50: at(response, 50), P99: at(response, 99), P999: at(response, 99.9), Max: time.Duration(response.Max()),
		ServiceP50: at(service, 50), ServiceP99: at(service, 99), Response: string(r), Service: string(s),
	}, nil
}

// Histograms returns the histograms of the response and the service time.
func (o Op) Histograms() (response, service *hdrhistogram.Histogram, err error) {
	if response, err = hdrhistogram.Decode([]byte(o.Response)); err == nil {
		service, err = hdrhistogram.Decode([]byte(o.Service))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("decode histogram: %w", err)
	}
	return response, service, nil
}
