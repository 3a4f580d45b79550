// Package progress carries what a long operation has done so far from the
// code that does it to whoever watches: a [Meter] takes the figures and
// messages, a [Renderer] shows them on a terminal, in a log, as JSON, or not
// at all.
package progress

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Meter counts the work of one operation and has it rendered.
//
// All methods may be called concurrently. Those that count (AddBytes,
// AddFiles, AddStored, AddRetry, SetTotal, SetPath) never lock, write or
// wait; the others may wait for the renderer's output.
//
// The zero Meter counts and renders nothing.
type Meter struct {
	current atomic.Pointer[phase] // nil before the first phase
	idle    phase                 // takes the figures that come before it

	retries  atomic.Int64
	warnings atomic.Int64

	clock Clock

	mu       sync.Mutex // guards what follows and every call of the renderer
	renderer Renderer
	estimate estimator
	err      error // the first that the renderer returned
	stopped  bool
	quit     chan struct{} // tells the goroutine to end; nil unless started
	done     chan struct{} // closed by the goroutine as it ends
}

// A phase holds the figures of one phase. Switching phases replaces the whole
// value, so that no reader sees the figures of one under the name of another.
type phase struct {
	name    string
	started time.Time
	bytes   atomic.Int64
	files   atomic.Int64
	stored  atomic.Int64
	total   atomic.Pointer[Total]
	path    atomic.Pointer[string]
}

// New returns a meter that renders to r and takes the time from clock; the
// zero Clock is the system's.
func New(r Renderer, clock Clock) *Meter {
	return &Meter{renderer: r, clock: clock}
}

// Start begins rendering at the renderer's interval, in a goroutine that ends
// with Stop. Phases and messages are rendered without it too. Calls after the
// first, or after Stop, do nothing.
func (m *Meter) Start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.renderer == nil || m.stopped || m.quit != nil {
		return
	}
	interval := m.renderer.Interval()
	if interval <= 0 {
		return
	}
	m.quit, m.done = make(chan struct{}), make(chan struct{})
	ticks, release := m.clock.tick(interval)
	go m.run(ticks, release)
}

func (m *Meter) run(ticks <-chan time.Time, release func()) {
	defer close(m.done)
	defer release()
	for {
		select {
		case <-m.quit:
			return
		case <-ticks:
			m.mu.Lock()
			m.render(Running)
			m.mu.Unlock()
		}
	}
}

// Stop renders the last figures, takes the status line off a terminal and
// ends rendering: nothing is printed once it has returned, and messages that
// come later are only counted. It returns the first error of the output, which
// also ended all rendering at the time. Further calls return the same.
func (m *Meter) Stop() error {
	m.mu.Lock()
	if !m.stopped {
		m.render(Ended)
		m.clear()
		m.stopped = true
		if m.quit != nil {
			close(m.quit)
		}
	}
	err, done := m.err, m.done
	m.mu.Unlock()
	if done != nil {
		<-done
	}
	return err
}

// Phase ends the phase before, if any, and begins one with the given name
// ("scanning", "backing up") and all its figures at zero. Retries and warnings
// are counted for the whole operation and stay.
func (m *Meter) Phase(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.render(Ended)
	p := &phase{name: name, started: m.clock.now()}
	m.current.Store(p)
	m.estimate = estimator{last: p.started}
	m.render(Began)
}

// AddBytes counts n bytes of the source (backup) or target (restore) as done.
func (m *Meter) AddBytes(n int64) { m.phase().bytes.Add(n) }

// AddFiles counts n files as done.
func (m *Meter) AddFiles(n int64) { m.phase().files.Add(n) }

// AddStored counts n bytes as written to storage or read from it: what is left
// of the data after compression and encryption.
func (m *Meter) AddStored(n int64) { m.phase().stored.Add(n) }

// AddRetry counts one repeated attempt.
func (m *Meter) AddRetry() { m.retries.Add(1) }

// SetTotal says how much the current phase has to do in all. It may be called
// again as more becomes known.
func (m *Meter) SetTotal(t Total) { m.phase().total.Store(&t) }

// SetPath says which file is being worked on. The name may hold any bytes.
func (m *Meter) SetPath(path string) { m.phase().path.Store(&path) }

func (m *Meter) phase() *phase {
	if p := m.current.Load(); p != nil {
		return p
	}
	return &m.idle
}

// Notice renders text as one line. Control characters in it are shown
// escaped; a name from outside should go through [Escape] first, so that it
// can also not pass for something else.
func (m *Meter) Notice(text string) { m.message(Notice, text) }

// Warn counts a warning and renders text as Notice does, marked as a warning.
func (m *Meter) Warn(text string) {
	m.warnings.Add(1)
	m.message(Warning, text)
}

func (m *Meter) message(kind Kind, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.silent() {
		return
	}
	m.keep(m.renderer.Message(Message{Kind: kind, Text: text, Time: m.clock.now()}))
}

// State returns the figures as they are now, those of the current phase and
// those of the whole operation. Rate and Left are as last rendered.
func (m *Meter) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.count()
	s.Rate, s.Left = m.estimate.rate, m.estimate.left
	return s
}

// count reads all counters.
func (m *Meter) count() State {
	p := m.phase()
	s := State{
		Phase:    p.name,
		Time:     m.clock.now(),
		Bytes:    p.bytes.Load(),
		Files:    p.files.Load(),
		Stored:   p.stored.Load(),
		Retries:  m.retries.Load(),
		Warnings: m.warnings.Load(),
	}
	if total := p.total.Load(); total != nil {
		s.Total = *total
	}
	if path := p.path.Load(); path != nil {
		s.Path = *path
	}
	if !p.started.IsZero() {
		s.Elapsed = s.Time.Sub(p.started)
	}
	return s
}

// render hands the current figures to the renderer. The caller holds mu.
func (m *Meter) render(at Moment) {
	if m.silent() || m.current.Load() == nil {
		return
	}
	s := m.count()
	if at == Ended {
		m.estimate.finish(s)
	} else {
		m.estimate.observe(s)
	}
	s.Rate, s.Left = m.estimate.rate, m.estimate.left
	m.keep(m.renderer.Progress(at, s))
}

// clear makes room for other output. The caller holds mu.
func (m *Meter) clear() {
	if !m.silent() {
		m.keep(m.renderer.Clear())
	}
}

func (m *Meter) silent() bool {
	return m.renderer == nil || m.stopped || m.err != nil
}

func (m *Meter) keep(err error) {
	if m.err == nil {
		m.err = err
	}
}
