//! SLIP-39 shares.
