//! The door `twotap-worker`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    twotap::worker::main()
}
