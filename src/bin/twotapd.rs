//! The door `twotapd`.

fn main() -> std::process::ExitCode {
    twotap::agent::main()
}
