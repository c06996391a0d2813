//! One address in front of a server that dies and comes back elsewhere: who knows the gate needs no other address.
//!
//! Never here: what passes.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A listening gate. While there is nobody behind it, connections end at once.
pub struct Gate {
    pub address: SocketAddr,
    behind: Arc<Mutex<Option<SocketAddr>>>,
}

impl Gate {
    pub fn to(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let gate = Self { address, behind: Arc::new(Mutex::new(Some(behind))) };
        let behind = Arc::clone(&gate.behind);
        std::thread::spawn(move || {
            for front in listener.incoming().map_while(Result::ok) {
                let behind = *behind.lock().expect("nobody panics with it");
                let back = behind.and_then(|behind| TcpStream::connect(behind).ok());
                // Who dies while bytes pass is the affair of both ends, which notice it.
                back.map(|back| pass(&front, &back).ok());
            }
        });
        gate
    }

    /// From now on this is behind it.
    pub fn lead_to(&self, behind: Option<SocketAddr>) {
        *self.behind.lock().expect("nobody panics with it") = behind;
    }
}

/// Passes bytes both ways, until both have ended.
fn pass(front: &TcpStream, back: &TcpStream) -> io::Result<()> {
    for stream in [front, back] {
        stream.set_nodelay(true)?;
    }
    for (mut from, mut to) in [(front.try_clone()?, back.try_clone()?), (back.try_clone()?, front.try_clone()?)] {
        std::thread::spawn(move || {
            let passed = io::copy(&mut from, &mut to);
            // A reset is passed on as an end: what matters is that nobody waits for more.
            let how = if passed.is_ok() { Shutdown::Write } else { Shutdown::Both };
            to.shutdown(how).ok();
        });
    }
    Ok(())
}
