//! The virtual YubiKey.
fn main() {}
