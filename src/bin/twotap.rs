//! The door `twotap`.

fn main() -> std::process::ExitCode {
    twotap::cli::main()
}
