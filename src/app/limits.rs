//! What the operating system lets this process do: open files, hold huge pages, and leave its memory behind when it
//! crashes.

use super::exit::Exit;
use crate::config::{Config, timing};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;

/// Raises the soft limit of open files to the hard one; where that is refused, the old one stays and
/// [`open_files`] tells.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).ok();
}

/// How many files this process may open; `None`: without limit.
#[must_use]
pub fn open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Refuses a configuration whose calls would not fit in the files that this process may open.
pub fn check(config: &Config) -> anyhow::Result<()> {
    match timing::check_open_files(config.gateway.max_in_flight, open_files()) {
        Some(error) => Err(Exit::BadConfig.because(error)),
        None => Ok(()),
    }
}

/// Memory is had in pages of 4 KiB. In huge ones, which many a host hands out unasked, a busy process held half as much
/// again, for no time saved (docs/measured.md).
pub fn forbid_huge_pages() {
    disable_transparent_huge_pages(true).ok();
}

/// A core dump would hold tokens and keys. The hard limit goes too, so that nothing raises it again.
pub fn forbid_core_dumps() {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).ok();
}
