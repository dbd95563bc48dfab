// Package result is what a measurement leaves behind: one JSON file, whose schema
// is versioned.
//
// # The nouns
//
// A [File] holds the suite that was run, the machine, the subjects, and the runs.
// A [Subject] is a store in one configuration and durability class. A [Run] is
// one workload on one subject in one round. A [Loop] is what a closed or open
// loop has measured in a run, and an [Op] one kind of operation in it. A
// [Summary] is what the rounds of one subject and workload come to.
//
// # Basics
//
// Times are integers in nanoseconds or floats in seconds, as their names say;
// sizes are bytes. Histograms are in the HdrHistogram V2 format, compressed, in
// base64, so that reports can be drawn again from the file.
//
// A reader ignores fields that it does not know, and refuses a schema with a
// higher number than its own. New kinds of measurement, such as faults, are new
// fields of File; the number rises only when the meaning of a field changes.
package result
