// Package layers holds no code, only the test that keeps the layers of the
// project: arrows between packages point downward.
package layers
