// Package report shows a result to a person: as a table for the terminal, and as
// one HTML file that needs nothing else.
//
// Both show the same figures, those of [result.File].Summaries, and say beside
// them what they are not: a subject with a failed run has no numbers, and an
// invalid run does not count.
package report
