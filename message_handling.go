package sdk

// handling is the way of one message to having been handled by the program.
type handling struct{}

func (h *handling) postpone() (done func()) { return func() {} }
