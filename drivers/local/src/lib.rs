//! Memory and directory carriers for Stillwire.
