//! Benchmarks of Stillwire beside its peers.
