package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// watchEvery is how often the memory of a running command is looked at.
const watchEvery = 20 * time.Millisecond

// A watcher follows how much memory a process and its descendants have
// resident together, by looking at /proc again and again. A short peak can
// slip through; that of the largest single process comes from its resource
// usage too, which misses nothing but counts no two processes together.
// (That figure begins with what this program had when it made the process,
// and counts only above that.)
type watcher struct {
	quit chan struct{}
	peak chan int64
}

func watch(pid int) *watcher {
	w := &watcher{quit: make(chan struct{}), peak: make(chan int64)}
	go func() {
		var peak int64
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			peak = max(peak, residentBelow(pid))
			select {
			case <-tick.C:
			case <-w.quit:
				w.peak <- peak
				return
			}
		}
	}()
	return w
}

// stop ends the watching and returns the peak.
func (w *watcher) stop() int64 {
	close(w.quit)
	return <-w.peak
}

// residentBelow is what a process and its descendants have resident, in
// bytes; nothing for one that is gone.
func residentBelow(pid int) int64 {
	total := resident(pid)
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return total
	}
	for _, list := range lists {
		raw, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		for _, child := range strings.Fields(string(raw)) {
			if n, err := strconv.Atoi(child); err == nil {
				total += residentBelow(n)
			}
		}
	}
	return total
}

func resident(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// ownPeak is the most that this process ever had resident, in bytes.
func ownPeak() int64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(raw) {
		var kb int64
		if _, err := fmt.Sscanf(string(line), "VmHWM: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	return 0
}

// machineCPU is the time that all processors have been busy since the start
// of the machine.
func machineCPU() time.Duration {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	var user, nice, system, idle, wait, irq, soft int64
	if _, err := fmt.Sscanf(string(line), "cpu %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &wait, &irq, &soft); err != nil {
		return 0
	}
	const tick = time.Second / 100 // what the kernel counts in for everybody
	return time.Duration(user+nice+system+irq+soft) * tick
}
