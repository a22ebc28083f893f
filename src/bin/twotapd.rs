//! The door `twotapd`.

/// Freed memory is wiped: the operator's session passes through buffers of libraries that do not wipe theirs.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    twotap::agent::main()
}
