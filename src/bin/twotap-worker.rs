//! The door `twotap-worker`.

fn main() -> std::process::ExitCode {
    twotap::worker::main()
}
