package hooks

import "context"

// A StepError says which step of an operation failed: what hooks in state
// Error are told.
type StepError struct {
	Step string
	Err  error
}

func (e *StepError) Error() string { return e.Err.Error() }

// Unwrap returns what the step failed with.
func (e *StepError) Unwrap() error { return e.Err }

// Step makes an error that of a step. No error stays none.
func Step(name string, err error) error {
	if err == nil {
		return nil
	}
	return &StepError{name, err}
}

// RunStep is Run as a step of its own.
func (h *Hooks) RunStep(ctx context.Context, c Call) error {
	return Step(string(c.State)+" hooks", h.Run(ctx, c))
}
