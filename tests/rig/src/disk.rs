//! A disk that is full: a file of ours has the rest of it.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

static CHUNK: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// Fills the disk below this folder to its last byte; the file that has to go to make room again.
///
/// # Errors
/// When it can't be written for another reason.
pub fn fill(folder: &Path) -> Result<PathBuf> {
    let failed = |error: std::io::Error| Error::new(format!("fill a disk: {error}"));
    let path = folder.join("filler");
    let mut file = File::create(&path).map_err(failed)?;
    for size in [CHUNK.len(), 1] {
        loop {
            match file.write(&CHUNK[..size]) {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::StorageFull => break,
                Err(e) => return Err(failed(e)),
            }
        }
    }
    Ok(path)
}
