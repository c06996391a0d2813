//! Entry point: flags, the run, the exit code.

use std::process::ExitCode;

use clap::Parser;
use loadgen::cli::Cli;
use loadgen::launch::{EXIT_USAGE, launch};

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
