//! `twotap::aws` at the wire: against an emulator that enforces keys and policies, and against servers that
//! answer as AWS does on its bad days.

mod ambient;
mod bundle_secret;
mod ceremony;
mod classes;
mod emulator;
mod rules;
mod tls;
mod wire;
