//! The relay as a process.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use kit::wait::eventually;

/// A running relay. It ends with the value.
pub(crate) struct Relay {
    child: Child,
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Relay {
    pub(crate) fn start(words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_butaca-relay"));
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut errors = child.stderr.take().expect("it is piped");
        let said = Arc::new(Mutex::new(String::new()));
        let reader = std::thread::spawn({
            let said = Arc::clone(&said);
            move || {
                let mut bytes = [0; 4096];
                while let Ok(len @ 1..) = errors.read(&mut bytes) {
                    said.lock().expect("nobody panicked").push_str(&String::from_utf8_lossy(&bytes[..len]));
                }
            }
        });
        Self { child, said, reader: Some(reader) }
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().expect("nobody panicked").clone()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// Asks it to end.
    pub(crate) fn term(&self) {
        let pid = i32::try_from(self.child.id()).expect("a small number").to_string();
        let done = Command::new("kill").args(["-TERM", &pid]).status().expect("there is kill");
        assert!(done.success());
    }

    /// Waits for its end: its code, and what it said.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let status: ExitStatus = eventually("the relay ends", || self.child.try_wait().expect("it is ours"));
        self.reader.take().expect("once").join().expect("it was read");
        (status.code(), self.said())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- the relay said:\n{}---", self.said());
        }
    }
}
