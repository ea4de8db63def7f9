//! Runtime-free plumbing between a Stillwire machine and whatever runs it.
