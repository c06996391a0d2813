//! The `butaca` binary: allocator, configuration, log, server, exit code.

use std::process::ExitCode;

use butaca::config::Config;
use butaca::{log, server};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    log::end_on_panic();
    match Config::from_process() {
        Ok(config) => server::run(config),
        Err(error) => ExitCode::from(error.report()),
    }
}
