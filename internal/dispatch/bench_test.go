package dispatch

import (
	"sync"
	"testing"

	"github.com/mirrorfly-go/sdk/internal/testing/versus"
)

// profile has the size of the largest event of package sdk.
type profile [10]string

// BenchmarkDispatchBurst is an event from Emit to a listener, among 1000 at once, which fit the
// queue. The goal is at most 300 ns and 1 allocation.
func BenchmarkDispatchBurst(b *testing.B) {
	const burst = 1000
	q := newQueue(0)
	events := new(Listeners[profile])
	done := make(chan struct{}, 1)
	n := 0
	events.Add(func(profile) {
		if n++; n%burst == 0 {
			done <- struct{}{}
		}
	})
	b.ReportAllocs()
	before := versus.Used(b)
	for b.Loop() {
		for range burst {
			events.Emit(q, profile{"bob"}, Weight{})
		}
		<-done
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*burst), "ns/event")
	b.ReportMetric(float64((versus.Used(b)-before).Nanoseconds())/float64(b.N*burst), "cpu-ns/event")
}

// BenchmarkDispatchOneByOne is an event that finds the queue idle.
func BenchmarkDispatchOneByOne(b *testing.B) {
	q := newQueue(0)
	events := new(Listeners[profile])
	done := make(chan struct{}, 1)
	events.Add(func(profile) { done <- struct{}{} })
	b.ReportAllocs()
	before := versus.Used(b)
	for b.Loop() {
		events.Emit(q, profile{"bob"}, Weight{})
		<-done
	}
	b.ReportMetric(float64((versus.Used(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/event")
}

func BenchmarkDispatchTo10Listeners(b *testing.B) {
	const burst = 1000 // fits the queue: nothing is dropped
	q := newQueue(burst)
	numbers := new(Listeners[int])
	var done sync.WaitGroup
	for range 10 {
		numbers.Add(func(int) { done.Done() })
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		done.Add(10)
		numbers.Emit(q, n, Weight{})
		if n%burst == burst-1 {
			done.Wait()
		}
	}
	done.Wait()
}
