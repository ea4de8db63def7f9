//! Primitives, one per file. Secrets are zeroized on drop and have no `Debug`.
