//! An encrypted byte stream between two programs that share nothing but storage.
fn main() {}
