package media

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk/internal/testing/versus"
)

func TestMain(m *testing.M) {
	versus.Main(sink())
	goleak.VerifyTestMain(m)
}
