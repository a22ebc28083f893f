//! The door `twotap`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    twotap::cli::main()
}
