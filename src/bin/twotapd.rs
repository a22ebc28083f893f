//! The door `twotapd`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    twotap::agent::main()
}
