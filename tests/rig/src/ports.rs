//! Loopback ports that nobody else takes. It is deliberately not "bind to port 0 and let go": that gives
//! a port of the range from which every outgoing connection is served, and a service that is killed and
//! started again would now and then find its port taken.

use crate::error::{Error, Result};
use crate::wait::lock;
use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Mutex;

/// Below the range of outgoing connections (from 32768 on Linux), above the well-known services.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// The locks on the ports that this process has been given, held until it ends.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A loopback port that is free now, and that no other process using the rig gets while this one lives.
///
/// # Panics
/// When the lock folder cannot be made, or none of the 17,000 ports is free.
#[must_use]
pub fn free_port() -> u16 {
    try_free_port().unwrap_or_else(|e| panic!("{e}"))
}

fn try_free_port() -> Result<u16> {
    let folder = lock_folder();
    fs::create_dir_all(&folder)
        .map_err(|e| Error::new(format!("cannot make {}: {e}", folder.display())))?;
    let mut held = lock(&HELD);
    let start = usize::try_from(std::process::id()).unwrap_or(0).wrapping_mul(97) + held.len();
    for step in 0..usize::from(COUNT) {
        let place = u16::try_from((start + step) % usize::from(COUNT)).unwrap_or(0);
        let port = FIRST + place;
        let Ok(file) = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(port.to_string()))
        else {
            continue;
        };
        if file.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            held.push(file);
            return Ok(port);
        }
    }
    Err(Error::new(format!("no loopback port is free from {FIRST} on")))
}

fn lock_folder() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("tollbridge-rig-ports-{user}"))
}
