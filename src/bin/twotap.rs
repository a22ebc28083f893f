//! The door `twotap`.

/// What is freed is wiped: a PIN, a share or a session must not lie about in freed memory.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    twotap::cli::main()
}
