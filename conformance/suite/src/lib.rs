//! Vectors, runner and implementation under test for the Stillwire protocols.
