package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// untilTold gives a context that ends with SIGINT or SIGTERM, and, if withStdin, when standard input is closed: a test
// run that is killed cannot stop what it started, but the kernel closes its end of the pipe.
func untilTold(withStdin bool) (context.Context, context.CancelFunc) {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	if withStdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	return ctx, cancel
}
