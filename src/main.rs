//! The `butaca` binary: allocator, configuration, server, exit code.

use std::process::ExitCode;

use butaca::config::Config;
use butaca::{log, server};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    end_on_panic();
    match Config::from_process() {
        Ok(config) => {
            log::start(config.log_level, config.log_format);
            server::run(config)
        }
        Err(error) => ExitCode::from(error.report()),
    }
}

/// A panic is a bug of ours: the whole process ends, so that a supervisor restarts the whole and no port stays half served.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}
