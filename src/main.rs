//! The binary: everything is in the library, but for the choice of an allocator, which is a program's.

use std::process::ExitCode;

/// Records cross three threads, and glibc's allocator pays for each that is freed by another than its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tollbridge::cli::main()
}
