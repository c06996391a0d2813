//! Entry point: flags, the run, the exit code.

use std::process::ExitCode;

use clap::Parser;
use loadgen::cli::Cli;
use loadgen::launch::{EXIT_USAGE, launch};

/// Ten thousand connections put frames of a megabyte together: glibc's allocator gave each back to the kernel, and
/// asked for it again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let words: Vec<String> = std::env::args().skip(1).collect();
    match launch(&cli, &format!("loadgen {}", words.join(" "))) {
        Ok(code) => ExitCode::from(code),
        Err(line) => {
            eprintln!("loadgen: {line}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}
